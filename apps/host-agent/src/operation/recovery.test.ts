import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { layerName } from '../disk/layer-file.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll } from '../testing/test-vm.ts'
import type { JournalFile } from './journal.ts'

/** A decryption that stopped right after its commit, and the means to lie about it. */
async function committedDecryption(host: TestHost) {
  const before = await host.done(encryptAll(await host.plainVm(), host.key))
  const request = decryptAll(before)
  const id = randomUUID()
  const restore = host.snapshot()
  // No commit comes before this change.
  for (let count = 14; ; count++) {
    restore()
    assert.ok(await host.crash(id, async (operations) => operations.start(id, request), count))
    const { generation } = JSON.parse(readFileSync(host.path('vm.json'), 'utf8')) as { generation: number }
    if (generation > before.generation) return { before, request, id }
  }
}

function readJournal(host: TestHost): JournalFile {
  return JSON.parse(readFileSync(host.path('journal.json'), 'utf8')) as JournalFile
}

function writeJournal(host: TestHost, journal: JournalFile): void {
  writeFileSync(host.path('journal.json'), JSON.stringify(journal))
}

async function assertNothingTouched(host: TestHost, id: string, request: OperationRequest, code: string) {
  const files = host.files()
  await using operations = host.operations()
  await assert.rejects(operations.recover(id, request), { code })
  assert.deepEqual(host.files(), files)
}

/** The encrypted layer that a finished decryption would remove. */
function oldLayer(vm: VmAuthority): string {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return layerName(disk)
}

test('a committed decryption is finished, by any host that holds the keys', async () => {
  await using host = new TestHost()
  const { before, request, id } = await committedDecryption(host)
  assert.ok(existsSync(host.path(oldLayer(before))))
  await using operations = host.operations()
  const { state, vm } = await operations.recover(id, request)
  assert.equal(state, 'done')
  assert.equal(vm?.generation, before.generation + 1)
  assert.ok(!existsSync(host.path(oldLayer(before))))
})

test('without the keys nobody can tell whether it was committed, and nothing is touched', async () => {
  await using host = new TestHost()
  const { request, id } = await committedDecryption(host)
  host.keys.remove(host.key)
  await assertNothingTouched(host, id, request, 'key-not-held')
})

test('another key under the same name does not help', async () => {
  await using host = new TestHost()
  const { request, id } = await committedDecryption(host)
  host.keys.remove(host.key)
  host.keys.add(host.key, Secret.random(32))
  await assertNothingTouched(host, id, request, 'refused')
})

test('a journal that somebody changed, removed or put there counts for nothing', async () => {
  await using host = new TestHost()
  const { request, id } = await committedDecryption(host)
  const journal = readJournal(host)
  const { content } = journal
  const lies: [string, JournalFile][] = [
    ['another state', { ...journal, content: { ...content, state: 'cleaned' } }],
    ['not yet ready', { ...journal, content: { ...content, state: 'copying' } }],
    ['another direction', { ...journal, content: { ...content, direction: 'encrypt' } }],
    ['another operation', { ...journal, content: { ...content, operationId: randomUUID() } }],
    ['other files', { ...journal, content: { ...content, removes: [...content.removes, 'vm.json'] } }],
    ['another HMAC', { ...journal, hmac: '0'.repeat(64) }],
    ['another vm.json', { ...journal, content: { ...content, next: { ...content.next, generation: 9 } } }],
    ['no records', { ...journal, content: { ...content, records: [] } }],
  ]
  for (const [what, lie] of lies) {
    writeJournal(host, lie)
    await assertNothingTouched(host, id, request, 'datastore-mismatch').catch((cause: unknown) => {
      throw new Error(`a journal with ${what} was believed`, { cause })
    })
  }
  rmSync(host.path('journal.json'))
  await assertNothingTouched(host, id, request, 'datastore-mismatch')
  writeJournal(host, journal)
  await using operations = host.operations()
  assert.equal((await operations.recover(id, request)).state, 'done')
})

test('a vm.json that was switched by somebody else makes no VM plain', async () => {
  await using host = new TestHost()
  const before = await host.done(encryptAll(await host.plainVm(), host.key))
  const id = randomUUID()
  const request = decryptAll(before)
  // The attacker has seen how a decryption looks when it is committed, and plays it before it is ready.
  const restore = host.snapshot()
  const other = await host.run(request, undefined, id)
  const { vm } = other
  assert.ok(vm !== null)
  const [plain] = vm.disks
  assert.ok(plain !== undefined)
  const kept = `${host.root}/kept`
  copyFileSync(host.path('vm.json'), `${kept}-vm.json`)
  copyFileSync(host.path(layerName(plain)), `${kept}-disk`)
  copyFileSync(host.path('home/config.4.json'), `${kept}-home`)
  restore()
  copyFileSync(`${kept}-vm.json`, host.path('vm.json'))
  copyFileSync(`${kept}-disk`, host.path(layerName(plain)))
  copyFileSync(`${kept}-home`, host.path('home/config.4.json'))
  await assertNothingTouched(host, id, request, 'datastore-mismatch')
})

test('a journal that is none keeps no half-made plaintext from being removed', async () => {
  await using host = new TestHost()
  const before = await host.done(encryptAll(await host.plainVm(), host.key))
  const files = host.files()
  const id = randomUUID()
  const request = decryptAll(before)
  const restore = host.snapshot()
  const isPlain = (name: string) => name.endsWith('.raw')
  for (let count = 5; !host.files().some(isPlain); count++) {
    restore()
    await host.crash(id, async (operations) => operations.start(id, request), count)
  }
  for (const garbage of ['', '{}', 'null', 'x'.repeat(3_000_000)]) {
    writeFileSync(host.path('journal.json'), garbage)
    await using operations = host.operations()
    const { state, error } = await operations.recover(id, request)
    assert.deepEqual([state, error?.code], ['failed', 'interrupted'])
    assert.deepEqual(host.files(), files)
  }
  // Where a disk may have been moved in place it has to be told what was.
  writeFileSync(host.path('journal.json'), '')
  writeFileSync(host.path('layer.header'), '')
  await using operations = host.operations()
  await assert.rejects(operations.recover(id, request), { code: 'datastore-mismatch' })
  rmSync(host.path('layer.header'))
  rmSync(host.path('journal.json'))
  assert.equal((await host.run(request)).state, 'done')
})

test('another operation’s journal comes first', async () => {
  await using host = new TestHost()
  const before = await host.plainVm()
  const id = randomUUID()
  const request = encryptAll(before, host.key)
  const restore = host.snapshot()
  let count = 5
  for (; ; count++) {
    restore()
    await host.crash(id, async (operations) => operations.start(id, request), count)
    if (existsSync(host.path('journal.json'))) break
  }
  const later = await host.run(encryptAll(before, host.key))
  assert.equal(later.error?.code, 'vm-busy')
  await using operations = host.operations()
  const { state, vm } = await operations.recover(id, request)
  assert.ok(state === 'done' && vm !== null, 'it goes on where it stood')
  await operations.forget(id)
  assert.equal((await host.run(decryptAll(vm))).state, 'done')
})

test('of a creation that was refused there is no trace, and the folder that was in its way stays', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const other: OperationRequest = {
    kind: 'create-vm',
    vm: { ...vm, vmId: randomUUID(), generation: 0, disks: [] },
    details: { memoryMib: 64, cpuCount: 1, firmware: 'bios', notes: '' },
    key: null,
  }
  const files = host.files()
  const refusal = await host.run(other)
  assert.equal(refusal.error?.code, 'refused')
  await using operations = host.operations()
  assert.equal((await operations.recover(randomUUID(), other)).state, 'unknown')
  assert.deepEqual(host.files(), files)
})
