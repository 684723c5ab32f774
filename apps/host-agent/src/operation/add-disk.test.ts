import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { layerName } from '../disk/layer-file.ts'
import { runTool } from '../process/tool.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll } from '../testing/test-vm.ts'

function addRequest(vm: VmAuthority, format: 'raw' | 'qcow2', key: TestHost['key'] | null): OperationRequest {
  return {
    kind: 'add-disk',
    vm,
    diskId: randomUUID(),
    number: vm.disks.length,
    format,
    virtualBytes: 1_048_576,
    policy: 'p',
    key,
  }
}

test('new disks are empty, plain or encrypted, raw or qcow2, and decrypt to what they were', async () => {
  await using host = new TestHost()
  let vm = await host.done(encryptAll(await host.plainVm(), host.key))
  for (const format of ['raw', 'qcow2'] as const) {
    for (const key of [null, host.key]) vm = await host.done(addRequest(vm, format, key))
  }
  assert.deepEqual(
    vm.disks.map(({ format, encryption }) => [format, encryption !== null]),
    [
      ['raw', true],
      ['raw', false],
      ['raw', true],
      ['qcow2', false],
      ['qcow2', true],
    ],
  )
  const encrypted = vm.disks.filter(({ encryption }) => encryption !== null)
  for (const disk of encrypted) {
    const head = readFileSync(host.path(layerName(disk))).subarray(2 * 1_048_576)
    assert.ok(!head.subarray(0, 65_536).equals(Buffer.alloc(65_536)), 'zeros are encrypted too')
    assert.ok(!head.includes('QFI\xfb'))
  }
  const plain = await host.done({ ...decryptAll({ ...vm, disks: encrypted }), vm } as OperationRequest)
  for (const disk of plain.disks.slice(1)) {
    const path = host.path(layerName(disk))
    if (disk.format === 'raw') assert.ok(readFileSync(path).equals(Buffer.alloc(1_048_576)))
    const { exitCode, stdout } = await runTool('qemu-img', ['info', '--output=json', '-f', disk.format, path])
    assert.equal(exitCode, 0)
    assert.equal((JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'], 1_048_576)
  }
})
