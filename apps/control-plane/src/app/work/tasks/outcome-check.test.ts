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
  ['another size', { ...after, disks: [disk(0), { ...after.disks[1], virtualBytes: 1024 }] }, /disk 1 has 1024 bytes/],
  ['more of a layer', { ...after, disks: [{ ...disk(0), payloadBytes: 1024 }, after.disks[1]] }, /disk 0 is another/],
  [
    'the layer from before',
    { ...after, disks: [disk(0), { ...after.disks[1], layerId: 'layer-1' }] },
    /disk 1 .*before/,
  ],
  [
    'a layer of another disk',
    { ...after, disks: [disk(0), { ...after.disks[1], layerId: 'layer-0' }] },
    /disk 1 .*before/,
  ],
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

/** Each new operation: what it makes of an encrypted VM, and answers that are not that. */
const encryptedDisk = (number: number) => ({
  ...disk(number),
  policy: 'gold',
  encryption: { keys: [key], generation: 5, luksUuid: `uuid-${number}` },
})
const encrypted: VmAuthority = {
  ...before,
  policy: 'gold',
  encryption: encryption([key]),
  disks: [encryptedDisk(0), encryptedDisk(1)],
}
const next = { ...encrypted, generation: 4 }

const rekeyed = { ...encryptedDisk(1), encryption: { keys: [other], generation: 7, luksUuid: 'uuid-1' } }
const reencrypted = { ...rekeyed, layerId: 'new', encryption: { keys: [other], generation: 1, luksUuid: 'new' } }
const volume = { diskId: 'v', number: 2, format: 'raw', contentBytes: 512, policy: 'gold', key } as const
const added = { ...encryptedDisk(2), diskId: 'v' }
const target = { ...before, vmId: 'copy', folder: 'copy', generation: 0, policy: 'gold', disks: [] }
const copied = { ...target, generation: 1, encryption: encryption([other]) }
const copyOf = (number: number, diskId: string, keys: (typeof key)[]) => ({
  ...encryptedDisk(number),
  diskId,
  layerId: `copy-${number}`,
  encryption: { keys, generation: 1, luksUuid: `copy-${number}` },
})

interface Case {
  readonly request: OperationRequest
  readonly right: unknown
  readonly wrong: Readonly<Record<string, readonly [unknown, RegExp]>>
}

const cases: readonly Case[] = [
  {
    request: { kind: 'shallow-rekey', vm: encrypted, home: { key: other }, disks: [{ diskId: 'disk-1', key: other }] },
    right: { ...next, encryption: encryption([other]), disks: [encryptedDisk(0), rekeyed] },
    wrong: {
      'both KEKs at the end': [
        {
          ...next,
          encryption: encryption([other]),
          disks: [encryptedDisk(0), { ...rekeyed, encryption: { ...rekeyed.encryption, keys: [key, other] } }],
        },
        /disk 1 is encrypted with vault\/one and vault\/two/,
      ],
      'another layer': [
        { ...next, encryption: encryption([other]), disks: [encryptedDisk(0), reencrypted] },
        /disk 1 is another layer/,
      ],
      'an older record': [
        {
          ...next,
          encryption: encryption([other]),
          disks: [encryptedDisk(0), { ...rekeyed, encryption: { ...rekeyed.encryption, generation: 4 } }],
        },
        /record of disk 1 is older/,
      ],
      'VM Home left': [{ ...next, disks: [encryptedDisk(0), rekeyed] }, /VM Home is encrypted with vault\/one/],
    },
  },
  {
    request: { kind: 'deep-rekey', vm: encrypted, home: null, disks: [{ diskId: 'disk-1', key: other }] },
    right: { ...next, disks: [encryptedDisk(0), reencrypted] },
    wrong: {
      'a disk left': [next, /disk 1 is encrypted with vault\/one/],
      'a disk too many': [
        { ...next, disks: [{ ...reencrypted, ...{ diskId: 'disk-0', number: 0 } }, reencrypted] },
        /disk 0 is another layer/,
      ],
    },
  },
  {
    request: { kind: 'import-volume', vm: encrypted, mode: 'import', ...volume, thin: true },
    right: { ...next, disks: [...next.disks, { ...added, format: 'qcow2' }] },
    wrong: {
      'another format': [{ ...next, disks: [...next.disks, added] }, /number or format/],
      'a plain one': [{ ...next, disks: [...next.disks, { ...added, format: 'qcow2', encryption: null }] }, /no key/],
    },
  },
  {
    request: { kind: 'import-volume', vm: encrypted, mode: 'adopt', ...volume },
    right: { ...next, disks: [...next.disks, added] },
    wrong: {
      'the same disk twice': [{ ...next, disks: [...next.disks.slice(1), added, added] }, /disk v that nobody/],
    },
  },
  {
    request: {
      kind: 'add-disk',
      vm: before,
      ...{ diskId: 'v', number: 2, format: 'raw', virtualBytes: 512, policy: 'plain', key: null, device: '/dev/one' },
    },
    right: { ...before, generation: 4, disks: [disk(0), disk(1), { ...disk(2), diskId: 'v', device: '/dev/one' }] },
    wrong: {
      'another device': [
        { ...before, generation: 4, disks: [disk(0), disk(1), { ...disk(2), diskId: 'v', device: '/dev/two' }] },
        /another device/,
      ],
      'a device unasked': [
        {
          ...before,
          generation: 4,
          disks: [{ ...disk(0), device: '/dev/x' }, disk(1), { ...disk(2), diskId: 'v', device: '/dev/one' }],
        },
        /disk 0 lies on another device/,
      ],
    },
  },
  {
    request: {
      kind: 'clone-vm',
      vm: target,
      source: encrypted,
      home: { key: other },
      disks: [
        { sourceDiskId: 'disk-0', diskId: 'a', key: other, dek: 'new' },
        { sourceDiskId: 'disk-1', diskId: 'b', key, dek: 'same' },
      ],
    },
    right: { ...copied, disks: [copyOf(0, 'a', [other]), copyOf(1, 'b', [key])] },
    wrong: {
      'the source itself': [{ ...next }, /vmId/],
      'a disk lost': [{ ...copied, disks: [copyOf(0, 'a', [other])] }, /1 disks and not 2/],
      'another KEK': [{ ...copied, disks: [copyOf(0, 'a', [key]), copyOf(1, 'b', [key])] }, /disk 0 is encrypted/],
      'one layer for two disks': [
        { ...copied, disks: [copyOf(0, 'a', [other]), { ...copyOf(1, 'b', [key]), layerId: 'copy-0' }] },
        /disk 1 is the layer of another disk/,
      ],
      'a layer of the source': [
        { ...copied, disks: [{ ...copyOf(0, 'a', [other]), layerId: 'layer-0' }, copyOf(1, 'b', [key])] },
        /disk 0 .*before/,
      ],
      'disks exchanged': [{ ...copied, disks: [copyOf(1, 'a', [other]), copyOf(0, 'b', [key])] }, /number or format/],
    },
  },
]

for (const { request, right, wrong } of cases) {
  test(`${request.kind}: what was asked for is right, and nothing else is`, () => {
    assert.equal(checkOutcome(request, right), null)
    for (const [name, [answer, message]] of Object.entries(wrong)) {
      assert.match(checkOutcome(request, answer) ?? '', message, name)
    }
  })
}
