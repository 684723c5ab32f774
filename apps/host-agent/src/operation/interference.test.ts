import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { test } from 'node:test'
import type { OperationRequest, OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { layerName } from '../disk/layer-file.ts'
import { endOf, TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

/** An operation that waits for something that never comes ends its test. */
const options = { timeout: 20_000 }

/** Runs an operation while somebody who can write the datastore does `interfere` before each of its changes. */
async function runAgainst(
  host: TestHost,
  request: OperationRequest,
  interfere: (what: string) => void,
): Promise<OperationStatus> {
  await using operations = host.operations(async (what) => interfere(what))
  const id = randomUUID()
  operations.start(id, request)
  return await endOf(operations, id)
}

/** Does `deed` before the `index`th change that is called `wanted`. */
function before(wanted: string, index: number, deed: () => void): (what: string) => void {
  let seen = 0
  return (what) => {
    if (what === wanted && seen++ === index) deed()
  }
}

function diskOf(vm: VmAuthority, index = 0) {
  const disk = vm.disks[index]
  assert.ok(disk !== undefined)
  return disk
}

/** The name of the layer that is being made. */
function newLayerOf(host: TestHost): string {
  const name = host.files().find((each) => each.endsWith('.luks'))
  assert.ok(name !== undefined)
  return name
}

/** The journal is written in states prepared, copying, ready, switched, cleaned. */
const ready = 2

function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

test('a header that was damaged after it was written costs no plaintext', options, async () => {
  for (const [what, offset, sizeBytes] of [
    ['key material', 4096, 4096],
    ['both copies of the key record', 2_097_152 - 16_384, 16_384],
  ] as const) {
    await using host = new TestHost()
    const vm = await host.plainVm()
    const content = readFileSync(host.path(layerName(diskOf(vm))))
    const files = host.files()
    const damage = before('write journal.json.new', ready, () =>
      overwrite(host.path(newLayerOf(host)), offset, randomBytes(sizeBytes)),
    )
    const { state } = await runAgainst(host, encryptAll(vm, host.key), damage)
    assert.equal(state, 'failed', what)
    assert.deepEqual(host.files(), files, what)
    assert.deepEqual(readFileSync(host.path(layerName(diskOf(vm)))), content)
  }
})

test('a disk that is written after it was compared is not removed', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const late = randomBytes(512)
  const write = before('write config.3.sealed.new', 0, () => overwrite(host.path(layerName(diskOf(vm))), 0, late))
  const { state, error } = await runAgainst(host, encryptAll(vm, host.key), write)
  assert.deepEqual([state, error?.code], ['failed', 'refused'])
  assert.deepEqual(readFileSync(host.path(layerName(diskOf(vm)))).subarray(0, 512), late)
})

test('an encrypted disk that is written after it was compared is not removed', options, async () => {
  await using host = new TestHost()
  const vm = await host.done(encryptAll(await host.plainVm(), host.key))
  const write = before('write config.4.json.new', 0, () =>
    overwrite(host.path(layerName(diskOf(vm))), 2_097_152, randomBytes(512)),
  )
  const { state, error } = await runAgainst(host, decryptAll(vm), write)
  assert.deepEqual([state, error?.code], ['failed', 'refused'])
})

test('a folder in the place of a file that is to be removed ends no operation late', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const files = host.files()
  const block = before('write journal.json.new', 0, () => mkdirSync(host.path('vm.keysafe.new')))
  const { state } = await runAgainst(host, encryptAll(vm, host.key), block)
  assert.equal(state, 'failed')
  assert.deepEqual(host.files(), files)
})

test('a vm.json that is no file when it is to be replaced fails the operation', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const block = before('rename vm.json.new', 0, () => {
    rmSync(host.path('vm.json'))
    mkdirSync(host.path('vm.json'))
  })
  const { state } = await runAgainst(host, encryptAll(vm, host.key), block)
  assert.equal(state, 'failed')
  assert.ok(host.files().includes(layerName(diskOf(vm))), 'the plaintext stays')
})

test('a link in the place of home/ leads nowhere and ends no operation late', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const outside = `${host.root}/outside`
  mkdirSync(outside)
  writeFileSync(`${outside}/config.3.sealed`, 'another VM’s')
  const block = before('write vm.keysafe.new', 0, () => {
    rmSync(host.path('home'), { recursive: true })
    symlinkSync(outside, host.path('home'))
  })
  const { state } = await runAgainst(host, encryptAll(vm, host.key), block)
  assert.equal(state, 'failed')
  assert.equal(readFileSync(`${outside}/config.3.sealed`, 'utf8'), 'another VM’s')
  assert.equal((await host.run({ kind: 'delete-vm', vm })).state, 'done')
  assert.equal(readFileSync(`${outside}/config.3.sealed`, 'utf8'), 'another VM’s')
})

test('what vm.json says of home/ removes nothing that counts', options, async () => {
  await using host = new TestHost()
  const encrypted = await host.done(encryptAll(await host.plainVm(), host.key))
  const truth = readFileSync(host.path('vm.json'), 'utf8')
  const lie = truth.replace(/("home": \{\s*"generation": )3/, '$11')
  assert.notEqual(lie, truth)
  writeFileSync(host.path('vm.json'), lie)
  const added = await host.done({
    kind: 'add-disk',
    vm: encrypted,
    diskId: randomUUID(),
    number: 1,
    format: 'raw',
    virtualBytes: 512,
    policy: '',
    key: host.key,
  })
  assert.ok(host.files().includes('home/config.3.sealed'))
  const id = randomUUID()
  await using operations = host.operations()
  await operations.recover(id, decryptAll(added))
  assert.ok(host.files().includes('home/config.3.sealed'))
})

test('a committed operation makes its own room on a full datastore', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const plain = layerName(diskOf(vm))
  let committed = false
  const fill = (what: string) => {
    if (committed && what.startsWith('write ') && host.files().includes(plain)) {
      throw new AgentError('no-space', 'the datastore is full')
    }
    committed ||= what === 'rename vm.json.new'
  }
  const { state, vm: after } = await runAgainst(host, encryptAll(vm, host.key), fill)
  assert.equal(state, 'done')
  assert.ok(!host.files().includes(plain))
  assert.ok(after !== null)
  assert.equal((await lockStateOf(host.host(), after)).state, 'unlocked')
})

test('operations that cannot end keep no other VM from its turn', options, async () => {
  await using host = new TestHost()
  const [one, other, third] = [
    await host.plainVm(),
    await host.plainVm(131_072, 'vm-2'),
    await host.plainVm(512, 'vm-3'),
  ]
  const stuck = new Set([one, other].map((vm) => `remove ${layerName(diskOf(vm))}`))
  await using operations = host.operations(async (what) => {
    if (stuck.has(what)) throw new AgentError('io', 'the storage refuses')
  })
  const ids = [randomUUID(), randomUUID()]
  for (const [index, vm] of [one, other].entries()) operations.start(ids[index] ?? '', encryptAll(vm, host.key))
  while (!ids.every((id) => operations.status(id).step.includes('trying again'))) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const id = randomUUID()
  operations.start(id, encryptAll(third, host.key))
  assert.equal((await endOf(operations, id)).state, 'done')
})

test('a plain disk with another name is not encrypted, since it would stay plain under that', options, async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const [own, another] = [host.path(layerName(diskOf(vm))), `${host.root}/another`]
  const files = host.files()
  const link = () => linkSync(own, another)
  for (const interfere of [before('write journal.json.new', 1, link), before('write vm.keysafe.new', 0, link)]) {
    const { state, error } = await runAgainst(host, encryptAll(vm, host.key), interfere)
    assert.deepEqual([state, error?.code], ['failed', 'refused'])
    assert.match(error?.message ?? '', /disk 0: .* has 2 names/)
    assert.deepEqual(host.files(), files)
    rmSync(another)
  }
  link()
  const { error } = await host.run(encryptAll(vm, host.key))
  assert.match(error?.message ?? '', /disk 0: .* has 2 names/)
  rmSync(another)
  await host.done(encryptAll(vm, host.key))
})
