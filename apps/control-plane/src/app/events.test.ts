import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openControlPlaneDatabase } from '../database/open.ts'
import { everywhere } from './access-control.ts'
import { followEvents } from './event-stream.ts'
import { EventLog } from './events.ts'
import { Scope } from './permissions/scope.ts'

async function eventLog() {
  const database = await openControlPlaneDatabase(':memory:')
  const events = new EventLog(database, () => Date.parse('2026-11-24T12:00:00Z'))
  return { events, database, [Symbol.asyncDispose]: () => database.destroy() }
}

test('events are listed newest first, or the oldest after one, and by type, VM and host', async () => {
  await using setUp = await eventLog()
  const { events } = setUp
  assert.equal(await events.lastId(), 0)
  await events.record({ type: 'host.connected', host: 'host-a', text: 'one' })
  await events.record({ type: 'kms.crypto.key-missing', vm: 'web', provider: 'kms', keyId: '7', text: 'two' })
  await events.record({ type: 'host.connected', host: 'host-b', text: 'three', user: 'admin', task: 't' })
  const texts = async (query: Partial<Parameters<EventLog['list']>[0]>) =>
    (await events.list({ limit: 10, ...query })).map((event) => event.text)
  assert.deepEqual(await texts({}), ['three', 'two', 'one'])
  assert.deepEqual(await texts({ limit: 2 }), ['three', 'two'])
  assert.deepEqual(await texts({ after: 0, limit: 2 }), ['one', 'two'])
  assert.deepEqual(await texts({ after: 2 }), ['three'])
  assert.deepEqual(await texts({ type: 'host.connected' }), ['three', 'one'])
  assert.deepEqual(await texts({ host: 'host-a' }), ['one'])
  assert.deepEqual(await texts({ vm: 'web' }), ['two'])
  assert.deepEqual((await events.list({ vm: 'web', limit: 1 }))[0], {
    id: 2,
    type: 'kms.crypto.key-missing',
    severity: 'error',
    time: '2026-11-24T12:00:00.000Z',
    host: null,
    vm: 'web',
    provider: 'kms',
    keyId: '7',
    text: 'two',
    user: null,
    task: null,
  })
})

test('what a failed transaction recorded never happened', async () => {
  await using setUp = await eventLog()
  const { events, database } = setUp
  await assert.rejects(
    events.transaction(async (transaction, record) => {
      await transaction.insertInto('cluster').values({ id: 'c', name: 'c' }).execute()
      await record({ type: 'user.changed', text: 'lost' })
      throw new Error('no')
    }),
    /no/,
  )
  assert.deepEqual(await events.list({ limit: 10 }), [])
  assert.deepEqual(await database.selectFrom('cluster').selectAll().execute(), [])
})

test('a follower gets what was, then what happens, each once and in order', async () => {
  await using setUp = await eventLog()
  const { events } = setUp
  for (const text of ['1', '2', '3']) await events.record({ type: 'user.changed', text })
  const everything = () => Scope.of(setUp.database, everywhere('admin', ['System.Read']), 'System.Read')
  const stop = new AbortController()
  const seen: string[] = []
  for await (const event of followEvents(events, 1, everything, stop.signal)) {
    seen.push(event?.text ?? 'quiet')
    if (event?.text === '3') {
      // Not awaited: it happens while the follower waits.
      void Promise.all(['4', '5'].map((text) => events.record({ type: 'user.changed', text })))
    }
    if (event?.text === '5') stop.abort()
  }
  assert.deepEqual(seen, ['2', '3', '4', '5'])
})
