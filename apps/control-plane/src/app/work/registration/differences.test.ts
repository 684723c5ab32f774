import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { becomesPlain, differencesOf } from './differences.ts'

const key = (keyId: string) => ({ provider: 'vault', keyId })
const vm: VmAuthority = {
  vmId: 'vm-1',
  name: 'web',
  datastorePath: '/srv/store',
  folder: 'web',
  generation: 3,
  policy: 'VM Encryption Policy',
  encryption: { keys: [key('a')], generation: 1, luksUuid: null },
  disks: [
    {
      diskId: 'disk-0',
      number: 0,
      layerId: 'layer-0',
      format: 'raw',
      payloadBytes: 512,
      virtualBytes: 512,
      policy: 'VM Encryption Policy',
      encryption: { keys: [key('a')], generation: 1, luksUuid: 'u' },
    },
    {
      diskId: 'disk-1',
      number: 1,
      layerId: 'layer-1',
      format: 'raw',
      payloadBytes: 512,
      virtualBytes: 512,
      policy: 'Datastore Default',
      encryption: null,
    },
  ],
}

test('names, policies and places are the control plane’s alone; all else counts, each field by its own text', () => {
  assert.deepEqual(differencesOf(vm, { ...vm, name: 'other', policy: 'other', folder: 'other' }), [])
  const [first, second] = vm.disks
  assert.ok(first !== undefined && second !== undefined)
  const changes: readonly (readonly [VmAuthority, RegExp])[] = [
    [{ ...vm, vmId: 'vm-2' }, /^VM: vm-1 here, vm-2 on/],
    [{ ...vm, generation: 4 }, /^generation: 3 here, 4 on/],
    [{ ...vm, encryption: null }, /^VM Home: encrypted under vault\/a, key record 1 here, plain on/],
    [{ ...vm, disks: [first] }, /^disk 1: here, not on/],
    [{ ...vm, disks: [...vm.disks, { ...first, diskId: 'disk-2', number: 2 }] }, /^disk 2: not here, on/],
    [{ ...vm, disks: [{ ...first, layerId: 'x' }, second] }, /^disk 0, layer: layer-0 here, x on/],
    [{ ...vm, disks: [{ ...first, format: 'qcow2' }, second] }, /^disk 0, format/],
    [{ ...vm, disks: [{ ...first, virtualBytes: 1024 }, second] }, /^disk 0, size in bytes/],
    [{ ...vm, disks: [{ ...first, payloadBytes: 1024 }, second] }, /^disk 0, image in bytes/],
    [{ ...vm, disks: [{ ...first, device: '/dev/vdb' }, second] }, /^disk 0, device: none here, \/dev\/vdb on/],
    [
      { ...vm, disks: [{ ...first, encryption: { keys: [key('b')], generation: 1, luksUuid: 'u' } }, second] },
      /^disk 0: encrypted under vault\/a.*, encrypted under vault\/b/,
    ],
  ]
  for (const [found, text] of changes) {
    const differences = differencesOf(vm, found)
    assert.equal(differences.length, 1, differences.join('; '))
    assert.match(differences[0] ?? '', text)
  }
})

test('what was encrypted and is plain is told apart', () => {
  const [first, second] = vm.disks
  assert.ok(first !== undefined && second !== undefined)
  assert.ok(!becomesPlain(vm, vm))
  assert.ok(!becomesPlain(vm, { ...vm, disks: [first] }), 'a disk that is gone does not become plain')
  assert.ok(becomesPlain(vm, { ...vm, encryption: null }))
  assert.ok(becomesPlain(vm, { ...vm, disks: [{ ...first, encryption: null }, second] }))
  assert.ok(!becomesPlain({ ...vm, encryption: null, disks: [] }, vm))
})
