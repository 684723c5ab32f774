import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Pace } from './pace.ts'

const never = () => false

/** Whether something is still waited for, after a moment in which it could have ended. */
async function isHeldBack(waiting: Promise<unknown>): Promise<boolean> {
  return await Promise.race([waiting.then(() => false), sleep(30, true)])
}

test('without a limit nothing waits, in this thread or blocking it', async () => {
  const pace = new Pace()
  for (let turn = 0; turn < 1000; turn++) pace.awaitTurnSync(2 ** 40, never)
  assert.equal(await isHeldBack(pace.awaitTurn(2 ** 40, never)), false)
})

test('who is paused waits until it goes on', async () => {
  const pace = new Pace()
  pace.pause()
  assert.ok(pace.paused)
  const waiting = pace.awaitTurn(1, never)
  assert.equal(await isHeldBack(waiting), true)
  pace.resume()
  assert.ok(!pace.paused)
  await waiting
})

test('a limit lets the first bytes go and holds the next back, until it is lifted', async () => {
  const pace = new Pace()
  pace.limit(1)
  await pace.awaitTurn(2 ** 40, never)
  const second = pace.awaitTurn(1, never)
  const third = pace.awaitTurn(1, never)
  assert.equal(await isHeldBack(Promise.race([second, third])), true)
  pace.limit(null)
  await Promise.all([second, third])
})

test('a higher limit counts for those too that wait already', async () => {
  const pace = new Pace()
  pace.limit(1)
  await pace.awaitTurn(2 ** 40, never)
  const waiting = pace.awaitTurn(1, never)
  assert.equal(await isHeldBack(waiting), true)
  pace.limit(2 ** 40)
  await waiting
})

test('pausing and going on does not make what waits for its turn wait anew', async () => {
  const pace = new Pace()
  pace.limit(2 ** 30)
  pace.pause()
  // Each takes a thousandth of a second; taken twice a thousand times it would be minutes.
  const waiting = Array.from({ length: 10 }, () => pace.awaitTurn(2 ** 20, never))
  for (let times = 0; times < 20_000; times++) {
    pace.resume()
    pace.pause()
  }
  pace.resume()
  await Promise.all(waiting)
})

test('who is to stop waits no longer, paused or limited', async () => {
  const paused = new Pace()
  paused.pause()
  await paused.awaitTurn(1, () => true)
  paused.awaitTurnSync(1, () => true)
  const limited = new Pace()
  limited.limit(1)
  await limited.awaitTurn(2 ** 40, never)
  limited.awaitTurnSync(1, () => true)
  let stopped = false
  const waiting = limited.awaitTurn(1, () => stopped)
  assert.equal(await isHeldBack(waiting), true)
  stopped = true
  await waiting
})

test('what went unannounced is waited for by whoever comes next', async () => {
  const pace = new Pace()
  pace.count(2 ** 40)
  await pace.awaitTurn(1, never)
  pace.limit(1)
  pace.count(2 ** 40)
  const waiting = pace.awaitTurn(1, never)
  assert.equal(await isHeldBack(waiting), true)
  pace.limit(null)
  await waiting
})

test('other threads obey the same pace', async (context) => {
  const pace = new Pace()
  pace.pause()
  const program = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { Pace } from ${JSON.stringify(new URL('./pace.ts', import.meta.url).href)}
    parentPort.postMessage('begins')
    new Pace(workerData).awaitTurnSync(1, () => false)
    parentPort.postMessage('goes')`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), { workerData: pace.memory })
  context.after(() => worker.terminate())
  assert.deepEqual(await once(worker, 'message'), ['begins'])
  const going = once(worker, 'message')
  assert.equal(await isHeldBack(going), true)
  pace.resume()
  assert.deepEqual(await going, ['goes'])
})
