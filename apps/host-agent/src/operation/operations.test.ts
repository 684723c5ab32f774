import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { layerName } from '../disk/layer-file.ts'
import { endOf, importRequest, TestHost } from '../testing/test-host.ts'
import { decryptAll, details, encryptAll, newVm } from '../testing/test-vm.ts'

const other = { provider: 'kms', keyId: 'other' }

/** Runs what must fail, and makes sure that everything is as it was. */
async function assertRefused(host: TestHost, request: OperationRequest, code: string, text?: RegExp): Promise<void> {
  const files = host.files()
  const { state, error, vm } = await host.run(request)
  assert.equal(state, 'failed')
  assert.equal(error?.code, code, error?.message)
  if (text !== undefined) assert.match(error?.message ?? '', text)
  assert.doesNotMatch(error?.message ?? '', /\/proc\//)
  assert.equal(vm, null)
  assert.deepEqual(host.files(), files)
}

function firstLayer(vm: VmAuthority): string {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return layerName(disk)
}

test('the same start again is the same operation; another request under its ID is refused', async () => {
  await using host = new TestHost()
  await using operations = host.operations()
  const id = randomUUID()
  const request: OperationRequest = { kind: 'create-vm', vm: newVm(host.datastore), details, key: null }
  operations.start(id, request)
  operations.start(id, structuredClone(request))
  const { state } = await endOf(operations, id)
  assert.equal(state, 'done')
  assert.equal(operations.start(id, request).state, 'done')
  assert.throws(() => operations.start(id, { ...request, key: host.key }), { code: 'operation-conflict' })
  await operations.forget(id)
  assert.throws(() => operations.status(id), { code: 'no-such-operation' })
  await operations.forget(id)
})

test('an operation cancelled before its commit leaves everything as it was', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const files = host.files()
  await using operations = host.operations(async (what) => {
    // The cancel comes when most of the work is done.
    if (what === 'write vm.keysafe.new') operations.cancel(id)
  })
  const id = randomUUID()
  operations.start(id, encryptAll(vm, host.key))
  const { state, error } = await endOf(operations, id)
  assert.deepEqual([state, error?.code], ['failed', 'cancelled'])
  assert.deepEqual(host.files(), files)
})

test('a cancel that comes after the commit changes nothing', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  await using operations = host.operations(async (what) => {
    if (what === 'rename vm.json.new') operations.cancel(id)
  })
  const id = randomUUID()
  operations.start(id, encryptAll(vm, host.key))
  assert.equal((await endOf(operations, id)).state, 'done')
})

test('two operations on one VM do not run at once', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  await using operations = host.operations()
  const waiting = randomUUID()
  operations.start(waiting, importRequest(vm, 512))
  while (operations.status(waiting).state !== 'waiting-for-content')
    await new Promise((resolve) => setImmediate(resolve))
  await assertRefused(host, encryptAll(vm, host.key), 'vm-busy')
  operations.cancel(waiting)
  assert.equal((await endOf(operations, waiting)).error?.code, 'cancelled')
})

test('cleaning that fails is tried again, and nothing is said to be done before it is', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  let failures = 1
  const seen: string[] = []
  await using operations = host.operations(async (what) => {
    if (what !== `remove ${firstLayer(vm)}`) return
    seen.push(operations.status(id).state)
    if (failures-- > 0) throw Object.assign(new Error('i/o error'), { code: 'EIO' })
  })
  const id = randomUUID()
  operations.start(id, encryptAll(vm, host.key))
  assert.equal((await endOf(operations, id)).state, 'done')
  assert.deepEqual(seen, ['running', 'running'])
  assert.ok(!host.files().includes(firstLayer(vm)))
})

test('what a key is missing for is refused, and named', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  await assertRefused(host, encryptAll(plain, other), 'key-not-held', /VM Home.*kms\/other/)
  const vm = await host.done(encryptAll(plain, host.key))
  host.keys.remove(host.key)
  await assertRefused(host, decryptAll(vm), 'key-not-held', /kms\/key-1/)
  host.keys.add(host.key, Secret.random(32))
  await assertRefused(host, decryptAll(vm), 'refused', /does not open with kms\/key-1/)
})

test('a key cannot be removed while an operation uses it', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const codes: unknown[] = []
  await using operations = host.operations(async (what) => {
    if (what !== 'rename journal.json.new') return
    try {
      host.keys.remove(host.key)
    } catch (error) {
      codes.push((error as { code?: unknown }).code)
    }
  })
  const id = randomUUID()
  operations.start(id, encryptAll(vm, host.key))
  assert.equal((await endOf(operations, id)).state, 'done')
  assert.ok(codes.length >= 3 && codes.every((code) => code === 'key-in-use'))
  host.keys.remove(host.key)
})

test('requests that cannot be are refused by name', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  const { diskId } = disk
  const policy = 'p'
  const choice = { diskId, key: host.key, policy }
  const home = { key: host.key, policy }
  const base = { vm, policy }
  const cases: [OperationRequest, RegExp][] = [
    [{ kind: 'encrypt', vm, home: null, disks: [choice] }, /VM Home before its disks/],
    [{ kind: 'encrypt', vm, home: null, disks: [] }, /neither a disk nor VM Home/],
    [{ kind: 'encrypt', vm, home, disks: [choice, choice] }, /named twice/],
    [{ kind: 'encrypt', vm, home, disks: [{ ...choice, diskId: 'nobody' }] }, /no disk nobody/],
    [{ kind: 'decrypt', vm, home: { policy }, disks: [] }, /VM Home is plain already/],
    [{ kind: 'decrypt', vm, home: null, disks: [{ diskId, policy }] }, /disk 0 is plain already/],
    [{ ...importRequest(vm, 512), diskId }, /has disk/],
    [{ ...importRequest(vm, 512), number: 0 }, /has a disk 0/],
    [
      { kind: 'add-disk', ...base, diskId: 'd', number: 1, format: 'raw', virtualBytes: 513, key: null },
      /whole sectors/,
    ],
    [{ kind: 'add-disk', ...base, diskId: 'd', number: 1, format: 'raw', virtualBytes: 512, key: host.key }, /plain/],
    [{ kind: 'create-vm', vm, details, key: null }, /generation 0/],
    [{ kind: 'create-vm', vm: { ...vm, generation: 0, disks: [] }, details, key: null }, /exists already/],
  ]
  for (const [request, text] of cases) await assertRefused(host, request, 'refused', text)
})

test('VM Home stays encrypted while a disk is', async () => {
  await using host = new TestHost()
  const vm = await host.done(encryptAll(await host.plainVm(), host.key))
  await assertRefused(
    host,
    { kind: 'decrypt', vm, home: { policy: 'p' }, disks: [] },
    'refused',
    /cannot be decrypted while a disk is encrypted; decrypt disk 0 first/,
  )
  const { disks, ...home } = decryptAll(vm) as Extract<OperationRequest, { kind: 'decrypt' }>
  const disksFirst = await host.done({ ...home, disks, home: null })
  assert.notEqual(disksFirst.encryption, null)
  const plain = await host.done({ kind: 'decrypt', vm: disksFirst, home: { policy: 'p' }, disks: [] })
  assert.equal(plain.encryption, null)
})

test('a datastore that says something else than the control plane is not touched', async () => {
  await using host = new TestHost()
  const vm = await host.done(encryptAll(await host.plainVm(), host.key))
  const [disk] = vm.disks
  assert.ok(disk?.encryption != null)
  const { encryption } = disk
  const lies: [VmAuthority, RegExp][] = [
    [{ ...vm, vmId: randomUUID() }, /belongs to VM/],
    [{ ...vm, generation: vm.generation + 1 }, /restored from a backup/],
    [{ ...vm, generation: vm.generation - 1 }, /not brought to its end/],
    [{ ...vm, disks: [{ ...disk, layerId: randomUUID() }] }, /layerId/],
    [{ ...vm, disks: [{ ...disk, payloadBytes: 512 }] }, /payloadBytes/],
    [{ ...vm, disks: [{ ...disk, format: 'qcow2' }] }, /format/],
    [{ ...vm, disks: [{ ...disk, encryption: { ...encryption, luksUuid: randomUUID() } }] }, /LUKS UUID/],
    [{ ...vm, disks: [{ ...disk, encryption: { ...encryption, generation: 2 } }] }, /older than 2/],
    [{ ...vm, disks: [{ ...disk, encryption: { ...encryption, keys: [other, host.key] } }] }, /other keys/],
    [{ ...vm, disks: [] }, /has 1, the control plane knows 0/],
  ]
  for (const [lie, text] of lies) {
    await assertRefused(host, { ...importRequest(lie, 512), number: 7 }, 'datastore-mismatch', text)
  }
})

test('layers and key records swapped on the datastore are not opened', async () => {
  await using host = new TestHost()
  const [one, two] = [await host.plainVm(65_536, 'vm-1'), await host.plainVm(65_536, 'vm-2')]
  const [first, second] = [await host.done(encryptAll(one, host.key)), await host.done(encryptAll(two, host.key))]
  const own = readFileSync(host.path(firstLayer(first)))
  writeFileSync(host.path(firstLayer(first)), readFileSync(host.path(firstLayer(second), 'vm-2')))
  await assertRefused(host, decryptAll(first), 'datastore-mismatch', /belongs to layer/)
  writeFileSync(host.path(firstLayer(first)), own)
  writeFileSync(host.path('vm.keysafe'), readFileSync(host.path('vm.keysafe', 'vm-2')))
  await assertRefused(host, decryptAll(first), 'datastore-mismatch', /belongs to VM/)
})

test('a link, a folder or a shorter file in a disk’s place is refused', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const path = host.path(firstLayer(vm))
  const content = readFileSync(path)
  truncateSync(path, 512)
  await assertRefused(host, encryptAll(vm, host.key), 'datastore-mismatch', /has 512 bytes/)
  rmSync(path)
  await assertRefused(host, encryptAll(vm, host.key), 'datastore-mismatch')
  writeFileSync(`${host.root}/elsewhere`, content)
  symlinkSync(`${host.root}/elsewhere`, path)
  await assertRefused(host, encryptAll(vm, host.key), 'datastore-mismatch', /not a regular file|no link|ELOOP/)
  rmSync(path)
  mkdirSync(path)
  await assertRefused(host, encryptAll(vm, host.key), 'datastore-mismatch')
})

test('a deletion leaves files that are not the VM’s, and says so', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  writeFileSync(host.path('notes.txt'), 'mine')
  const { state, step } = await host.run({ kind: 'delete-vm', vm })
  assert.equal(state, 'done')
  assert.match(step, /files that are not the VM’s/)
  assert.deepEqual(host.files(), ['notes.txt'])
})

test('a deletion leaves nothing of an operation that was cut off, plaintext least of all', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  const vm = await host.done(encryptAll(plain, host.key))
  const restore = host.snapshot()
  const requests: OperationRequest[] = [
    decryptAll(vm),
    {
      kind: 'deep-rekey',
      vm,
      home: { key: host.key },
      disks: vm.disks.map(({ diskId }) => ({ diskId, key: host.key })),
    },
  ]
  for (const request of requests) {
    let leftCount = 0
    for (let count = 4; count < 40; count += 5) {
      restore()
      const id = randomUUID()
      if (!(await host.crash(id, async (operations) => operations.start(id, request), count))) break
      const left = host.files().filter((name) => /\.(raw|luks|next)$/.test(name))
      if (left.length > 1) leftCount++
      // Without its keys nobody could go on with it.
      assert.equal((await host.run({ kind: 'delete-vm', vm })).state, 'done')
      assert.ok(!existsSync(host.path('.')), `cut off at change ${count} of ${request.kind}: ${left.join(', ')}`)
    }
    assert.ok(leftCount > 0, request.kind)
  }
})

test('a forged journal has a deletion remove nothing but files of layers', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  for (const [index, makes] of [['notes.txt', '../vm-2/vm.json', '..', 'x.raw', ''], 'no journal'].entries()) {
    const other = await host.plainVm(512, `other-${index}`)
    writeFileSync(host.path('notes.txt', other.folder), 'mine')
    const document: unknown = JSON.parse(readFileSync(host.path('vm.json', other.folder), 'utf8'))
    const content = {
      ...{ version: 1, operationId: randomUUID(), direction: 'decrypt', state: 'copying', previous: document },
      ...{ next: document, makes, removes: [], records: ['x'], parts: [] },
    }
    writeFileSync(host.path('journal.json', other.folder), JSON.stringify({ content, hmac: '0'.repeat(64) }))
    writeFileSync(host.path('x.raw', other.folder), 'left')
    assert.equal((await host.run({ kind: 'delete-vm', vm: other })).state, 'done')
    assert.deepEqual(host.files(other.folder), index === 0 ? ['notes.txt'] : ['notes.txt', 'x.raw'])
  }
  assert.ok(host.files().includes('vm.json') && host.files().includes(firstLayer(vm)))
})

test('another VM’s folder is not deleted, one that is gone is', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  await assertRefused(host, { kind: 'delete-vm', vm: { ...vm, vmId: randomUUID() } }, 'datastore-mismatch')
  assert.equal((await host.run({ kind: 'delete-vm', vm })).state, 'done')
  assert.equal((await host.run({ kind: 'delete-vm', vm })).state, 'done')
})
