import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { layerName } from '../disk/layer-file.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, details, encryptAll, newVm, sha256Of } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

/** No operation of these tests makes as many changes on disk. */
const changesMax = 200

/** What a sweep over all crashes found. */
interface Sweep {
  readonly states: ReadonlySet<string>
  readonly crashCount: number
}

/**
 * Crashes an operation at each of its changes in turn, and its recovery too, then recovers it for good. `check` looks at
 * the VM that is left: the new one when the recovery says `done`, else `null` for the old one.
 */
async function sweep(
  host: TestHost,
  request: OperationRequest,
  check: (vm: VmAuthority | null, crash: string) => Promise<void>,
): Promise<Sweep> {
  const restore = host.snapshot()
  const states = new Set<string>()
  for (let count = 0; count < changesMax; count++) {
    restore()
    const id = randomUUID()
    if (!(await host.crash(id, async (operations) => operations.start(id, request), count))) {
      return { states, crashCount: count }
    }
    await host.crash(id, (operations) => operations.recover(id, request), count % 6)
    await using operations = host.operations()
    const { state, vm } = await operations.recover(id, request)
    states.add(state)
    assert.equal((await operations.recover(id, request)).state, state, 'told again it says the same')
    await operations.forget(id)
    assert.ok(!existsSync(host.path('journal.json')), 'the journal goes when the outcome is on record')
    await check(state === 'done' ? vm : null, `crash at change ${count}, recovery says ${state}`)
  }
  throw new Error('the operation never came to its end')
}

/** A VM's folder holds exactly what it must, and all of it opens. */
async function assertWhole(host: TestHost, vm: VmAuthority, homeGeneration: number, crash: string): Promise<void> {
  const expected = [
    'vm.json',
    'vm.lock',
    `home/config.${homeGeneration}.${vm.encryption === null ? 'json' : 'sealed'}`,
    ...(vm.encryption === null ? [] : ['vm.keysafe']),
    ...vm.disks.map(layerName),
  ]
  assert.deepEqual(host.files(), expected.toSorted(), crash)
  assert.deepEqual(await lockStateOf(host.host(), vm), { state: 'unlocked', reason: null }, crash)
}

/** SHA-256 of the first disk's plaintext; an encrypted VM is decrypted for it. */
async function contentOf(host: TestHost, vm: VmAuthority): Promise<string> {
  const plain = vm.encryption === null ? vm : await host.done(decryptAll(vm))
  const [disk] = plain.disks
  assert.ok(disk !== undefined)
  return await sha256Of(host.path(layerName(disk)))
}

test('an encryption that crashes at any change leaves the old or the new VM, whole', async () => {
  await using host = new TestHost()
  const before = await host.plainVm()
  const content = await contentOf(host, before)
  const { states, crashCount } = await sweep(host, encryptAll(before, host.key), async (vm, crash) => {
    await assertWhole(host, vm ?? before, vm?.generation ?? 1, crash)
    assert.equal(await contentOf(host, vm ?? before), content)
  })
  // What had begun goes on where it stood.
  assert.deepEqual([...states].toSorted(), ['done', 'unknown'])
  assert.ok(crashCount > 20)
})

test('a decryption that crashes at any change leaves the old or the new VM, whole', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  const content = await contentOf(host, plain)
  const before = await host.done(encryptAll(plain, host.key))
  const { states } = await sweep(host, decryptAll(before), async (vm, crash) => {
    await assertWhole(host, vm ?? before, vm?.generation ?? before.generation, crash)
    if (vm !== null) assert.equal(await contentOf(host, vm), content)
  })
  // What had begun goes on where it stood.
  assert.deepEqual([...states].toSorted(), ['done', 'unknown'])
})

test('a creation that crashes at any change leaves the VM or no folder', async () => {
  await using host = new TestHost()
  const request: OperationRequest = { kind: 'create-vm', vm: newVm(host.datastore), details, key: host.key }
  const { states } = await sweep(host, request, async (vm, crash) => {
    if (vm === null) assert.ok(!existsSync(host.path('.')), crash)
    else await assertWhole(host, vm, 1, crash)
  })
  assert.ok(states.has('done') && states.has('failed'))
})

test('an added disk that crashes at any change is there whole or not at all', async () => {
  await using host = new TestHost()
  const before = await host.done(encryptAll(await host.plainVm(), host.key))
  const diskId = randomUUID()
  const policy = 'VM Encryption Policy'
  const request: OperationRequest = {
    kind: 'add-disk',
    vm: before,
    diskId,
    number: 1,
    format: 'qcow2',
    virtualBytes: 1_048_576,
    policy,
    key: host.key,
  }
  const { states } = await sweep(host, request, (vm, crash) =>
    assertWhole(host, vm ?? before, before.generation, crash),
  )
  assert.ok(states.has('done') && states.has('failed'))
})

test('a deletion that crashes at any change has not begun or is finished', async () => {
  await using host = new TestHost()
  const before = await host.done(encryptAll(await host.plainVm(), host.key))
  const restore = host.snapshot()
  const request: OperationRequest = { kind: 'delete-vm', vm: before }
  let doneCount = 0
  for (let count = 0; count < changesMax; count++) {
    restore()
    const id = randomUUID()
    if (!(await host.crash(id, async (operations) => operations.start(id, request), count))) break
    await using operations = host.operations()
    const { state } = await operations.recover(id, request)
    if (state === 'unknown') await assertWhole(host, before, before.generation, `crash at change ${count}`)
    else assert.ok(state === 'done' && !existsSync(host.path('.')))
    if (state === 'done') doneCount++
  }
  assert.ok(doneCount > 5)
})
