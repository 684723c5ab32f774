import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import type { OperationRequest, OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { layerName, luksName } from '../disk/layer-file.ts'
import { endOf, TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll, sha256Of } from '../testing/test-vm.ts'
import type { JournalFile } from './journal.ts'
import { newLayerId } from './layer-id.ts'
import type { Operations } from './operations.ts'

const mib = 1_048_576
const diskBytes = 12 * mib

/** An operation that waits for something that never comes ends its test. */
const options = { timeout: 60_000 }

/** An encryption that the agent was stopped in the middle of, and what it began with. */
interface Stopped {
  readonly host: TestHost
  readonly id: string
  readonly request: OperationRequest
  readonly vm: VmAuthority
  readonly content: string
  /** The layer that is being made. */
  readonly layer: string
}

function diskOf(vm: VmAuthority) {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return disk
}

function journalOf(host: TestHost): JournalFile {
  return JSON.parse(readFileSync(host.path('journal.json'), 'utf8')) as JournalFile
}

async function untilDone(operations: Operations, id: string, doneBytes: number): Promise<void> {
  while (operations.status(id).doneBytes < doneBytes) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Waits until the journal says that so much of the disk is done. */
async function untilNoted(host: TestHost, doneBytes: number): Promise<void> {
  const noted = () => (existsSync(host.path('journal.json')) ? journalOf(host).content.parts[0]?.doneBytes : 0) ?? 0
  while (noted() < doneBytes) await new Promise((resolve) => setTimeout(resolve, 5))
}

async function stoppedEncryption(host: TestHost): Promise<Stopped> {
  const vm = await host.plainVm(diskBytes)
  const content = await sha256Of(host.path(layerName(diskOf(vm))))
  const id = randomUUID()
  const request = encryptAll(vm, host.key)
  const operations = host.operations()
  // So slow that it cannot be over before it is stopped.
  operations.start(id, { ...request, ...{ bytesPerSecondMax: 12 * mib } })
  await untilNoted(host, 3 * mib)
  await operations[Symbol.asyncDispose]()
  assert.equal(operations.status(id).state, 'running', 'nobody is told that it failed')
  assert.ok(existsSync(host.path(layerName(diskOf(vm)))), 'the plaintext is there')
  const { content: journal } = journalOf(host)
  assert.equal(journal.state, 'copying')
  assert.ok((journal.parts[0]?.doneBytes ?? 0) >= 3 * mib)
  const layer = host.path(luksName(newLayerId(id, diskOf(vm).diskId)))
  return { host, id, request: { ...request, ...{ bytesPerSecondMax: 12 * mib } }, vm, content, layer }
}

/** What another agent makes of it. */
async function recovered({ host, id, request }: Stopped): Promise<OperationStatus> {
  await using operations = host.operations()
  await operations.recover(id, request)
  const status = await endOf(operations, id)
  await operations.forget(id)
  return status
}

async function assertAsItWas({ host, vm, content, layer }: Stopped): Promise<void> {
  assert.equal(await sha256Of(host.path(layerName(diskOf(vm)))), content)
  assert.ok(!existsSync(layer) && !existsSync(host.path('journal.json')))
}

test('an agent that was stopped goes on where it stood', options, async () => {
  await using host = new TestHost()
  const stopped = await stoppedEncryption(host)
  const { state, vm } = await recovered(stopped)
  assert.ok(state === 'done' && vm !== null)
  assert.ok(!existsSync(host.path(layerName(diskOf(stopped.vm)))))
  const plain = await host.done(decryptAll(vm))
  assert.equal(await sha256Of(host.path(layerName(diskOf(plain)))), stopped.content)
})

test('what is done already is not done again, and still compared', options, async () => {
  await using host = new TestHost()
  const stopped = await stoppedEncryption(host)
  const layer = openSync(stopped.layer, 'r+')
  writeSync(layer, randomBytes(512), 0, 512, 2 * mib)
  const { state, error } = await recovered(stopped)
  assert.deepEqual([state, error?.code], ['failed', 'verification-failed'])
  await assertAsItWas(stopped)
})

test('a source that changed meanwhile is nothing to go on with', options, async () => {
  await using host = new TestHost()
  const stopped = await stoppedEncryption(host)
  const path = host.path(layerName(diskOf(stopped.vm)))
  writeFileSync(path, randomBytes(512), { flag: 'r+' })
  const changed = { ...stopped, content: await sha256Of(path) }
  const { state, error } = await recovered(changed)
  assert.deepEqual([state, error?.code], ['failed', 'refused'])
  assert.match(error?.message ?? '', /changed/)
  await assertAsItWas(changed)
})

test('a journal that somebody changed is none: all is as it was', options, async () => {
  const forgeries: readonly ((journal: JournalFile) => unknown)[] = [
    ({ content, hmac }) => ({
      content: { ...content, parts: content.parts.map((part) => ({ ...part, doneBytes: 8 * mib })) },
      hmac,
    }),
    ({ content, hmac }) => ({
      content: { ...content, parts: content.parts.map((part) => ({ ...part, state: 'verified' })) },
      hmac,
    }),
    ({ content, hmac }) => ({ content: { ...content, state: 'ready' }, hmac }),
    ({ content }) => ({ content, hmac: '0'.repeat(64) }),
  ]
  for (const forge of forgeries) {
    await using host = new TestHost()
    const stopped = await stoppedEncryption(host)
    writeFileSync(host.path('journal.json'), JSON.stringify(forge(journalOf(host))))
    const { state, error } = await recovered(stopped)
    assert.deepEqual([state, error?.code], ['failed', 'interrupted'])
    await assertAsItWas(stopped)
  }
})

test('an older journal of the same operation only has more done again', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm(diskBytes)
  const content = await sha256Of(host.path(layerName(diskOf(vm))))
  const id = randomUUID()
  const request = { ...encryptAll(vm, host.key), ...{ bytesPerSecondMax: 12 * mib } }
  const operations = host.operations()
  operations.start(id, request)
  await untilNoted(host, mib)
  copyFileSync(host.path('journal.json'), host.path('older'))
  await untilNoted(host, 5 * mib)
  await operations[Symbol.asyncDispose]()
  renameSync(host.path('older'), host.path('journal.json'))
  const layer = host.path(luksName(newLayerId(id, diskOf(vm).diskId)))
  const { state, vm: next } = await recovered({ host, id, request, vm, content, layer })
  assert.ok(state === 'done' && next !== null)
  const plain = await host.done(decryptAll(next))
  assert.equal(await sha256Of(host.path(layerName(diskOf(plain)))), content)
})

test('without its keys it is undone', options, async () => {
  await using host = new TestHost()
  const stopped = await stoppedEncryption(host)
  host.keys.remove(host.key)
  const { state, error } = await recovered(stopped)
  assert.deepEqual([state, error?.code], ['failed', 'interrupted'])
  await assertAsItWas(stopped)
})

test('another key under the name of the one that was used opens no journal', options, async () => {
  await using host = new TestHost()
  const stopped = await stoppedEncryption(host)
  host.keys.remove(host.key)
  host.keys.add(host.key, Secret.random(32))
  const { state, error } = await recovered(stopped)
  assert.deepEqual([state, error?.code], ['failed', 'interrupted'])
  await assertAsItWas(stopped)
})

test('a cancel after the agent is back undoes it', options, async () => {
  await using host = new TestHost()
  const stopped = await stoppedEncryption(host)
  await using operations = host.operations()
  const recovering = operations.recover(stopped.id, stopped.request)
  await untilDone(operations, stopped.id, 5 * mib)
  operations.cancel(stopped.id)
  await recovering
  const { state, error } = await endOf(operations, stopped.id)
  assert.deepEqual([state, error?.code], ['failed', 'cancelled'])
  await assertAsItWas(stopped)
})
