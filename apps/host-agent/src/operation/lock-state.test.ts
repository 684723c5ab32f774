import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { layerName } from '../disk/layer-file.ts'
import { TestHost } from '../testing/test-host.ts'
import { encryptAll } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

async function encryptedVm(host: TestHost): Promise<{ vm: VmAuthority; disk: string }> {
  const vm = await host.done(encryptAll(await host.plainVm(), host.key))
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return { vm, disk: host.path(layerName(disk)) }
}

async function assertLocked(host: TestHost, vm: VmAuthority, code: string, text: RegExp): Promise<void> {
  const files = host.files()
  const { state, reason } = await lockStateOf(host.host(), vm)
  assert.deepEqual([state, reason?.code], ['locked', code], reason?.text)
  assert.match(reason?.text ?? '', text)
  assert.doesNotMatch(reason?.text ?? '', /\/proc\//)
  assert.deepEqual(host.files(), files)
}

test('what is missing or damaged locks a VM, and says where', async () => {
  await using host = new TestHost()
  const { vm, disk } = await encryptedVm(host)
  const restore = host.snapshot()
  const cases: [() => void, string, RegExp][] = [
    [() => rmSync(disk), 'file-missing', /\.luks/],
    [() => rmSync(host.path('vm.keysafe')), 'file-missing', /vm\.keysafe/],
    [() => rmSync(host.path('vm.json')), 'file-missing', /vm\.json/],
    [() => rmSync(host.path('home'), { recursive: true }), 'file-missing', /home/],
    [() => rmSync(host.path('.'), { recursive: true }), 'file-missing', /vm-1/],
    [() => truncateSync(disk, 2_097_152 + 512), 'record-refused', /payload/],
    [() => damage(disk, 2_097_152 - 16_384 + 20, 2_097_152 - 8192 + 20), 'record-refused', /key record/],
    [() => damage(disk, 0), 'record-refused', /LUKS/],
    [() => damage(host.path('vm.keysafe'), 30), 'record-refused', /record/],
    [() => damage(host.path('vm.json'), 0), 'record-refused', /JSON/],
    [() => damage(host.path('home/config.3.sealed'), 80), 'record-refused', /VM Home/],
  ]
  for (const [harm, code, text] of cases) {
    harm()
    if (String(harm).includes("path('.')")) assert.equal((await lockStateOf(host.host(), vm)).reason?.code, code)
    else await assertLocked(host, vm, code, text)
    restore()
  }
  assert.equal((await lockStateOf(host.host(), vm)).state, 'unlocked')
})

test('one copy of a key record is enough', async () => {
  await using host = new TestHost()
  const { vm, disk } = await encryptedVm(host)
  damage(disk, 2_097_152 - 16_384 + 20)
  assert.equal((await lockStateOf(host.host(), vm)).state, 'unlocked')
})

test('an older key record than the control plane knows is refused', async () => {
  await using host = new TestHost()
  const { vm } = await encryptedVm(host)
  assert.ok(vm.encryption !== null)
  const later = { ...vm, encryption: { ...vm.encryption, generation: 2 } }
  await assertLocked(host, later, 'record-refused', /older than 2/)
  copyFileSync(host.path('vm.json'), `${host.root}/vm.json`)
  const document = JSON.parse(readFileSync(host.path('vm.json'), 'utf8')) as VmAuthority
  writeFileSync(host.path('vm.json'), JSON.stringify({ ...document, encryption: later.encryption }))
  await assertLocked(host, later, 'record-refused', /generation 1, older than 2/)
  renameSync(`${host.root}/vm.json`, host.path('vm.json'))
})

/** Changes one byte at each place. */
function damage(path: string, ...offsets: number[]): void {
  const bytes = readFileSync(path)
  for (const offset of offsets) bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset)
  writeFileSync(path, bytes)
}
