import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { checkOutcome } from './outcome-check.ts'

const key = { provider: 'vault', keyId: 'one' }
const other = { provider: 'vault', keyId: 'two' }
const encryption = (keys: (typeof key)[]) => ({ keys, generation: 1, luksUuid: null })

const disk = (number: number): VmAuthority['disks'][number] => ({
  diskId: `disk-${number}`,
  number,
  layerId: `layer-${number}`,
  format: 'raw',
  payloadBytes: 512,
  virtualBytes: 512,
  policy: 'plain',
  encryption: null,
})

const before: VmAuthority = {
  vmId: 'vm',
  name: 'web',
  datastorePath: '/srv',
  folder: 'web',
  generation: 3,
  policy: 'plain',
  encryption: null,
  disks: [disk(0), disk(1)],
}

const encrypt: OperationRequest = {
  kind: 'encrypt',
  vm: before,
  home: { key, policy: 'gold' },
  disks: [{ diskId: 'disk-1', key, policy: 'gold' }],
}

const after: VmAuthority = {
  ...before,
  generation: 4,
  policy: 'gold',
  encryption: encryption([key]),
  disks: [disk(0), { ...disk(1), layerId: 'new', policy: 'gold', encryption: encryption([key]) }],
}

test('what was asked for is right', () => {
  assert.equal(checkOutcome(encrypt, after), null)
  assert.equal(checkOutcome({ kind: 'delete-vm', vm: before }, null), null)
})

const wrong: readonly (readonly [string, unknown, RegExp])[] = [
  ['nothing', null, /expected|must/],
  ['another shape', { ...after, generation: 'four' }, /generation/],
  ['another VM', { ...after, vmId: 'other' }, /vmId/],
  ['another folder', { ...after, folder: 'other' }, /folder/],
  ['an old generation', { ...after, generation: 3 }, /generation 3/],
  ['another KEK', { ...after, encryption: encryption([other]) }, /VM Home is encrypted with vault\/two/],
  ['a second recipient', { ...after, encryption: encryption([key, other]) }, /vault\/one and vault\/two/],
  ['a part left plain', { ...after, encryption: null }, /VM Home is encrypted with no key/],
  [
    'a part encrypted unasked',
    { ...after, disks: [{ ...disk(0), encryption: encryption([key]) }, after.disks[1]] },
    /disk 0/,
  ],
  ['a disk lost', { ...after, disks: [disk(0)] }, /1 disks and not 2/],
  ['a disk that is another one', { ...after, disks: [{ ...disk(0), diskId: 'x' }, after.disks[1]] }, /disk x/],
  ['another policy', { ...after, policy: 'silver' }, /silver/],
  ['another format', { ...after, disks: [{ ...disk(0), format: 'qcow2' }, after.disks[1]] }, /number or format/],
]

for (const [name, answer, message] of wrong) {
  test(`an agent that claims ${name} is not believed`, () => {
    assert.match(checkOutcome(encrypt, answer) ?? '', message)
  })
}

test('a deleted VM has nothing left to say', () => {
  assert.notEqual(checkOutcome({ kind: 'delete-vm', vm: before }, after), null)
})
