import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { endOf, importRequest, TestHost } from '../testing/test-host.ts'
import { details, encryptAll, newVm } from '../testing/test-vm.ts'
import { BulkLimit } from './bulk-limit.ts'
import { Operations } from './operations.ts'

const mib = 1_048_576

/** Long enough that anything that is not held back has moved on. */
const whileMs = 500

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await nextTurn()
}

/** An encryption that is paused with some of its data moved, and held so. */
async function pausedEncryption(
  host: TestHost,
  operations: Operations,
  sizeBytes: number,
  folder = 'vm-1',
): Promise<string> {
  const vm = await host.plainVm(sizeBytes, folder)
  const id = randomUUID()
  operations.start(id, encryptAll(vm, host.key))
  operations.limit(id, 8 * mib)
  await until(() => operations.status(id).doneBytes >= mib)
  assert.equal(operations.pause(id).paused, true)
  // A chunk that was begun may end.
  for (let before = -1; before !== operations.status(id).doneBytes; ) {
    before = operations.status(id).doneBytes
    await sleep(whileMs)
  }
  return id
}

test('a paused encryption stays where it is, says so, and goes on when it is resumed', async () => {
  await using host = new TestHost()
  await using operations = host.operations()
  const id = await pausedEncryption(host, operations, 24 * mib)
  const { doneBytes } = operations.status(id)
  await sleep(whileMs)
  assert.partialDeepStrictEqual(operations.status(id), {
    state: 'running',
    paused: true,
    doneBytes,
    bytesPerSecond: null,
    secondsLeft: null,
  })
  assert.equal(operations.pause(id).paused, true)
  assert.equal(operations.limit(id, null).paused, true)
  assert.equal(operations.resume(id).paused, false)
  assert.equal(operations.resume(id).paused, false)
  const { state, doneBytes: allBytes, totalBytes, paused } = await endOf(operations, id)
  assert.deepEqual([state, allBytes, paused], ['done', totalBytes, false])
})

test('operations that are paused keep no other one waiting, and go on when they are resumed', async () => {
  await using host = new TestHost()
  await using operations = host.operations()
  // As many as move data at once.
  const paused = [
    await pausedEncryption(host, operations, 8 * mib),
    await pausedEncryption(host, operations, 8 * mib, 'vm-2'),
  ]
  const id = randomUUID()
  operations.start(id, encryptAll(await host.plainVm(4 * mib, 'vm-3'), host.key))
  assert.equal((await endOf(operations, id)).state, 'done')
  for (const other of paused) {
    assert.equal(operations.status(other).state, 'running')
    operations.limit(other, null)
    operations.resume(other)
    assert.equal((await endOf(operations, other)).state, 'done')
  }
})

test('one that is paused after others began to wait lets the first of them in', async () => {
  await using host = new TestHost()
  const agent = { ...host.host(), bulk: new BulkLimit(1) }
  await using operations = new Operations(agent, { info: () => {}, warn: () => {}, error: () => {} })
  const slow = randomUUID()
  operations.start(slow, encryptAll(await host.plainVm(8 * mib), host.key))
  operations.limit(slow, mib)
  await until(() => operations.status(slow).doneBytes > 0)
  const id = randomUUID()
  operations.start(id, encryptAll(await host.plainVm(mib, 'vm-2'), host.key))
  await sleep(whileMs)
  assert.deepEqual([operations.status(id).state, operations.status(id).doneBytes], ['running', 0])
  operations.pause(slow)
  assert.equal((await endOf(operations, id)).state, 'done')
  operations.cancel(slow)
  assert.equal((await endOf(operations, slow)).error?.code, 'cancelled')
})

test('a paused encryption can be cancelled, and all is as it was', async () => {
  await using host = new TestHost()
  await using operations = host.operations()
  const id = await pausedEncryption(host, operations, 24 * mib)
  operations.cancel(id)
  const { state, error, paused } = await endOf(operations, id)
  assert.deepEqual([state, error?.code, paused], ['failed', 'cancelled', false])
  assert.ok(host.files().every((name) => !name.endsWith('.luks')))
})

test('an agent stops while an operation is paused', async () => {
  await using host = new TestHost()
  const operations = host.operations()
  await pausedEncryption(host, operations, 24 * mib)
  await operations[Symbol.asyncDispose]()
  assert.ok(host.files().includes('journal.json'), 'it goes on when the agent is back')
})

test('an import takes its content no faster than it may, and nothing of it while it is paused', async () => {
  await using host = new TestHost()
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  const content = randomBytes(2 * mib)
  await using operations = host.operations()
  const id = randomUUID()
  operations.start(id, importRequest(vm, content.length))
  operations.pause(id)
  const ended = operations.content(id, Readable.from([content]), content.length)
  await sleep(whileMs)
  assert.equal(operations.status(id).doneBytes, 0)
  operations.limit(id, 65_536)
  operations.resume(id)
  await until(() => operations.status(id).doneBytes > 0)
  assert.ok(operations.status(id).doneBytes < content.length)
  operations.limit(id, null)
  assert.equal((await ended).state, 'done')
})

test('an import that is paused can be cancelled', async () => {
  await using host = new TestHost()
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  await using operations = host.operations()
  const id = randomUUID()
  operations.start(id, importRequest(vm, mib))
  operations.pause(id)
  const ended = operations.content(id, Readable.from([randomBytes(mib)]), mib)
  await nextTurn()
  operations.cancel(id)
  assert.equal((await ended).error?.code, 'cancelled')
})

test('the pace of an operation that nobody knows cannot be changed', async () => {
  await using host = new TestHost()
  await using operations = host.operations()
  for (const change of [operations.pause, operations.resume, operations.limit]) {
    assert.throws(() => change.call(operations, 'none', null), { code: 'no-such-operation' })
  }
})
