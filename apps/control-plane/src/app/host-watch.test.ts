import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { watchHost } from './host-watch.ts'

/** Watches a host that answers as `answers` says, one after another, and gives what the watch found out. */
async function watch(answers: readonly boolean[], missedMax: number): Promise<string[]> {
  const over = new AbortController()
  const found: string[] = []
  let askedCount = 0
  const ask = async () => {
    const answer = answers[askedCount]
    if (++askedCount === answers.length) queueMicrotask(() => over.abort())
    if (answer !== true) throw new Error('no answer')
  }
  watchHost(ask, { everyMs: 0, missedMax }, over.signal, {
    answered: () => found.push('answered'),
    missed: (_error, missedCount) => found.push(`missed ${missedCount}`),
    gone: () => {
      found.push('gone')
      over.abort()
    },
  })
  while (!over.signal.aborted) await sleep(1)
  return found
}

test('a host is gone when it misses several questions in a row, and not before', async () => {
  assert.deepEqual(await watch([true, false, true, false, false, true], 2), [
    'answered',
    'missed 1',
    'answered',
    'missed 1',
    'missed 2',
    'gone',
  ])
  assert.deepEqual(await watch([false, true], 1), ['missed 1', 'gone'])
})

test('nothing is found out about a host whose session is over', async () => {
  const over = new AbortController()
  const found: string[] = []
  const { promise: answer, resolve } = Promise.withResolvers<void>()
  const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>()
  const note = () => void found.push('something')
  watchHost(
    () => {
      wasAsked()
      return answer
    },
    { everyMs: 0, missedMax: 1 },
    over.signal,
    { answered: note, missed: note, gone: note },
  )
  await asked
  over.abort()
  resolve()
  await sleep(5)
  assert.deepEqual(found, [])
})
