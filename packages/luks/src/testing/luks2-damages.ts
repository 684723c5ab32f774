import { fieldOf } from '../header-layout.ts'
import type { LuksErrorCode } from '../luks-error.ts'
import { luks2Layout } from '../luks2-layout.ts'
import { type Damage, inPlace } from './damage.ts'
import {
  headersOf,
  luks2HeaderSizeBytes,
  luks2PayloadOffsetBytes,
  readJson,
  reseal,
  writeJson,
} from './luks2-volume.ts'

type Json = Record<string, unknown>

/** The member of an object at a path of names; the damages below know that it is there. */
function at(root: Json, path: string): Json {
  return path.split('.').reduce((object, name) => object[name] as Json, root)
}

/** Changes the JSON of both headers, whose checksums are right afterwards. */
function inJson(change: (root: Json) => unknown): Damage {
  return inPlace((volume) => {
    for (const header of headersOf(volume)) {
      const root = JSON.parse(readJson(header)) as Json
      change(root)
      writeJson(header, JSON.stringify(root))
    }
    reseal(volume)
  })
}

/** Sets one field of the JSON; `undefined` takes it out. */
function set(path: string, value: unknown): Damage {
  const names = path.split('.')
  const name = names.pop() ?? ''
  return inJson((root) => Object.assign(names.length === 0 ? root : at(root, names.join('.')), { [name]: value }))
}

/** Puts a text into both JSON areas. */
const text = (json: string): Damage =>
  inPlace((volume) => {
    for (const header of headersOf(volume)) writeJson(header, json)
    reseal(volume)
  })

/** Changes one field of the binary part of both headers, whose checksums are right afterwards. */
function inBinary(name: keyof typeof luks2Layout, change: (field: Buffer) => unknown): Damage {
  return inPlace((volume) => {
    for (const header of headersOf(volume)) change(fieldOf(header, luks2Layout[name]))
    reseal(volume)
  })
}

/** Adds a copy of a member of the JSON, changed. */
function copied(path: string, id: string, change: Json): Damage {
  return inJson((root) => {
    const objects = at(root, path)
    objects[id] = { ...(objects['0'] as Json), ...change }
  })
}

const slot = 'keyslots.0'
const area = `${slot}.area`
const kdf = `${slot}.kdf`
const segment = 'segments.0'
const digest = 'digests.0'
const salt = Buffer.alloc(32).toString('base64')
const argon2 = (change: Json) => set(kdf, { type: 'argon2id', time: 4, memory: 64, cpus: 1, salt, ...change })

/** Faults of both headers at once, each with the code that it is refused with. */
export const luks2Faults: Readonly<Record<string, readonly [code: LuksErrorCode, damage: Damage]>> = {
  'magic of both headers': ['bad-magic', inBinary('magic', (field) => field.write('X'))],
  'version 3': ['unsupported-version', inBinary('version', (field) => field.writeUInt16BE(3))],
  'header size that LUKS2 has not': ['bad-field', inBinary('headerSize', (field) => field.writeUInt8(1, 7))],
  'header size of 2^60 bytes': ['bad-field', inBinary('headerSize', (field) => field.writeUInt8(0x10))],
  'header at another offset': ['bad-field', inBinary('headerOffset', (field) => field.writeUInt8(1, 7))],
  'unknown checksum algorithm': ['unsupported-hash', inBinary('checksumAlgorithm', (field) => field.write('crc32c'))],
  'checksum algorithm without an end': ['bad-text', inBinary('checksumAlgorithm', (field) => field.fill('a'))],
  'UUID that is none': ['bad-uuid', inBinary('uuid', (field) => field.write('g'))],
  'checksum of both headers': [
    'bad-checksum',
    inPlace((volume) => {
      for (const header of headersOf(volume))
        fieldOf(header, luks2Layout.checksum).writeUInt8(~(header[448] ?? 0) & 0xff)
    }),
  ],
  'bytes behind the checksum': [
    'bad-checksum',
    inPlace((volume) => {
      for (const header of headersOf(volume)) fieldOf(header, luks2Layout.checksum).writeUInt8(1, 63)
    }),
  ],
  'one bit of both JSON areas': [
    'bad-checksum',
    inPlace((volume) => {
      for (const header of headersOf(volume)) header.writeUInt8((header[5000] ?? 0) ^ 1, 5000)
    }),
  ],
  'cut in the second header': ['truncated', (volume) => volume.subarray(0, luks2HeaderSizeBytes - 1)],
  'empty JSON area': ['bad-json', text('')],
  'JSON area without an end': ['bad-json', text('x'.repeat(12_288))],
  'text that is not JSON': ['bad-json', text('{"keyslots":')],
  'JSON that is no object': ['bad-json', text('[]')],
  'bytes behind the JSON': [
    'bad-json',
    inPlace((volume) => {
      for (const header of headersOf(volume)) header.write('x', luks2HeaderSizeBytes - 1)
      reseal(volume)
    }),
  ],
  'no config': ['bad-field', set('config', undefined)],
  'other JSON size': ['bad-field', set('config.json_size', '12287')],
  'size with a sign': ['bad-field', set('config.keyslots_size', '-1')],
  'size with a leading zero': ['bad-field', set('config.keyslots_size', '01')],
  'size that is a number': ['bad-field', set('config.keyslots_size', 4096)],
  'size beyond 2^53': ['bad-field', set('config.keyslots_size', '9007199254740992')],
  'unknown requirement': ['unsupported-requirement', set('config.requirements', { mandatory: ['time-travel'] })],
  'requirement of re-encryption': ['reencryption', set('config.requirements', { mandatory: ['online-reencrypt-v2'] })],
  'requirements that are no list': ['bad-field', set('config.requirements', { mandatory: 'none' })],
  'no segment': ['unsupported-segment', set('segments', {})],
  'two segments': ['unsupported-segment', copied('segments', '1', {})],
  'segments that are a list': ['bad-field', set('segments', [])],
  'segment without a number': ['bad-field', copied('segments', 'x', {})],
  'linear segment': ['unsupported-segment', set(`${segment}.type`, 'linear')],
  'segment with integrity': [
    'unsupported-integrity',
    set(`${segment}.integrity`, { type: 'hmac(sha256)', journal_encryption: 'none', journal_integrity: 'none' }),
  ],
  'segment with a flag of re-encryption': ['reencryption', set(`${segment}.flags`, ['in-reencryption'])],
  'sectors of 8192 bytes': ['unsupported-sector-size', set(`${segment}.sector_size`, 8192)],
  'sector size as text': ['bad-field', set(`${segment}.sector_size`, '512')],
  'detached header': ['detached-header', set(`${segment}.offset`, '0')],
  'payload inside the key slots': ['bad-payload-offset', set(`${segment}.offset`, `${luks2PayloadOffsetBytes - 512}`)],
  'payload between sectors': ['bad-field', set(`${segment}.offset`, `${luks2PayloadOffsetBytes + 1}`)],
  'payload beyond the end': ['truncated', set(`${segment}.offset`, `${luks2PayloadOffsetBytes + 8704}`)],
  'payload without size': ['bad-field', set(`${segment}.size`, '0')],
  'payload of half a sector': ['bad-field', set(`${segment}.size`, '256')],
  'payload longer than the volume': ['truncated', set(`${segment}.size`, '8704')],
  'no cipher': ['bad-field', set(`${segment}.encryption`, undefined)],
  'unknown cipher': ['unsupported-cipher', set(`${segment}.encryption`, 'serpent-xts-plain64')],
  'cipher in the notation of the kernel': ['unsupported-cipher', set(`${segment}.encryption`, 'capi:xts(aes)-plain64')],
  'null cipher': ['unsupported-cipher', set(`${segment}.encryption`, 'cipher_null-ecb')],
  'cipher with a line feed': ['bad-field', set(`${segment}.encryption`, 'aes-xts-plain64\n')],
  'negative tweak': ['bad-field', set(`${segment}.iv_tweak`, '-8')],
  'tweak of 2^52 and one': ['bad-field', set(`${segment}.iv_tweak`, '4503599627370497')],
  'tweak of 2^63': ['bad-field', set(`${segment}.iv_tweak`, '9223372036854775808')],
  'no key slots': ['no-active-slot', set('keyslots', {})],
  '33 key slots': [
    'bad-field',
    inJson((root) => {
      const slots = at(root, 'keyslots')
      for (let id = 1; id < 33; id++) slots[`${id}`] = slots['0']
    }),
  ],
  'key slot that is a text': ['bad-field', set(slot, 'luks2')],
  'key slot of re-encryption': ['reencryption', copied('keyslots', '1', { type: 'reencrypt' })],
  'key slot of an unknown type': ['unsupported-key-slot', set(`${slot}.type`, 'luks3')],
  'volume key of 0 bytes': ['bad-field', set(`${slot}.key_size`, 0)],
  'volume key of 4 GiB': ['bad-field', set(`${slot}.key_size`, 0xffff_ffff)],
  'volume key of 48 bytes': ['bad-key-size', set(`${slot}.key_size`, 48)],
  'no AF splitter': ['bad-field', set(`${slot}.af`, undefined)],
  'unknown AF splitter': ['bad-stripes', set(`${slot}.af.type`, 'luks9')],
  '3999 stripes': ['bad-stripes', set(`${slot}.af.stripes`, 3999)],
  'unknown hash of the AF splitter': ['unsupported-hash', set(`${slot}.af.hash`, 'whirlpool')],
  'hash of the AF splitter from a prototype': ['unsupported-hash', set(`${slot}.af.hash`, 'constructor')],
  'area of an unknown type': ['unsupported-key-slot', set(`${area}.type`, 'journal')],
  'area inside the header': ['slot-out-of-range', set(`${area}.offset`, '28672')],
  'area into the payload': ['slot-out-of-range', set(`${area}.offset`, `${luks2PayloadOffsetBytes - 4096}`)],
  'area of 2^53 bytes': ['slot-out-of-range', set(`${area}.size`, '9007199254740991')],
  'area too small for its key': ['bad-field', set(`${area}.size`, '255488')],
  'areas that overlap': ['slots-overlap', copied('keyslots', '1', {})],
  'unknown cipher of the area': ['unsupported-cipher', set(`${area}.encryption`, 'twofish-xts-plain64')],
  'area key of 48 bytes': ['bad-key-size', set(`${area}.key_size`, 48)],
  'no key derivation': ['bad-field', set(kdf, undefined)],
  'unknown key derivation': ['unsupported-key-derivation', set(`${kdf}.type`, 'scrypt')],
  'unknown hash of PBKDF2': ['unsupported-hash', set(`${kdf}.hash`, 'md5')],
  'no iterations': ['bad-field', set(`${kdf}.iterations`, 0)],
  'iterations beyond the limit': ['bad-field', set(`${kdf}.iterations`, 100_000_001)],
  'half an iteration': ['bad-field', set(`${kdf}.iterations`, 1000.5)],
  'salt that is not Base64': ['bad-field', set(`${kdf}.salt`, 'salt!')],
  'salt with bits left over': ['bad-field', set(`${kdf}.salt`, 'AAAAAAAAAAAAAAB=')],
  'salt of 65 bytes': ['bad-field', set(`${kdf}.salt`, Buffer.alloc(65).toString('base64'))],
  'Argon2 without a lane': ['bad-field', argon2({ cpus: 0 })],
  'Argon2 without a pass': ['bad-field', argon2({ time: 0 })],
  'Argon2 with less memory than its lanes need': ['bad-field', argon2({ cpus: 9 })],
  'Argon2 with 8 TiB of memory': ['bad-field', argon2({ memory: 2 ** 33 })],
  'Argon2 with 4 GiB of memory': ['too-much-work', argon2({ memory: 4_194_304 })],
  'Argon2 with a million passes': ['too-much-work', argon2({ memory: 1_048_576, time: 1_000_000 })],
  'no digest': ['bad-digest', set('digests', {})],
  'digest of another segment': ['bad-digest', set(`${digest}.segments`, ['1'])],
  'two digests': ['bad-digest', copied('digests', '1', {})],
  'digest of an unknown type': ['unsupported-key-derivation', set(`${digest}.type`, 'argon2id')],
  'digest of 19 bytes': ['bad-field', set(`${digest}.digest`, Buffer.alloc(19).toString('base64'))],
  'unknown hash of the digest': ['unsupported-hash', set(`${digest}.hash`, 'sha')],
  'digest of no key slot': ['no-active-slot', set(`${digest}.keyslots`, [])],
  'digest of a key slot that is no number': ['bad-field', set(`${digest}.keyslots`, ['00'])],
  'other digest': ['wrong-passphrase', set(`${digest}.digest`, Buffer.alloc(32).toString('base64'))],
  'other salt of the key slot': ['wrong-passphrase', set(`${kdf}.salt`, salt)],
  'key material': [
    'wrong-passphrase',
    inPlace((volume) => {
      volume.writeUInt8((volume[2 * luks2HeaderSizeBytes + 100_000] ?? 0) ^ 1, 2 * luks2HeaderSizeBytes + 100_000)
    }),
  ],
}

const firstHeader = (change: (header: Buffer) => unknown): Damage =>
  inPlace((volume) => {
    change(headersOf(volume)[0])
  })
const secondHeader = (change: (header: Buffer) => unknown): Damage =>
  inPlace((volume) => {
    change(headersOf(volume)[1])
  })

/** Faults of one header, which the other one makes up for, each with what the warning says. */
export const luks2RepairableFaults: Readonly<Record<string, readonly [warning: RegExp, damage: Damage]>> = {
  'magic of the first header': [
    /first LUKS2 header is not there; the second/,
    firstHeader((header) => header.write('X')),
  ],
  'zeros for the first header': [
    /first LUKS2 header is not there; the second/,
    firstHeader((header) => header.fill(0)),
  ],
  'one bit in the first JSON area': [
    /first LUKS2 header .*checksum.*; the second one was used/,
    firstHeader((header) => header.writeUInt8((header[4200] ?? 0) ^ 4, 4200)),
  ],
  'size of the first header': [
    /first LUKS2 header .*size.*; the second/,
    firstHeader((header) => header.writeUInt8(1, 15)),
  ],
  'half a write of the first header': [
    /first LUKS2 header .*checksum.*; the second/,
    firstHeader((header) => header.fill(0, 512)),
  ],
  'magic of the second header': [
    /second LUKS2 header is not there; the first/,
    secondHeader((header) => header.write('X')),
  ],
  'zeros for the second header': [
    /second LUKS2 header is not there; the first/,
    secondHeader((header) => header.fill(0)),
  ],
  'one bit in the second JSON area': [
    /second LUKS2 header .*checksum.*; the first/,
    secondHeader((header) => header.writeUInt8((header[4200] ?? 0) ^ 4, 4200)),
  ],
  'lower sequence number in the first header': [
    /sequence numbers 6 and 7; the second one was used/,
    inPlace((volume) => {
      fieldOf(headersOf(volume)[0], luks2Layout.sequence).writeBigUInt64BE(6n)
      reseal(volume)
    }),
  ],
  'higher sequence number in the first header': [
    /sequence numbers 8 and 7; the first one was used/,
    inPlace((volume) => {
      fieldOf(headersOf(volume)[0], luks2Layout.sequence).writeBigUInt64BE(8n)
      reseal(volume)
    }),
  ],
  'two headers with one sequence number that differ': [
    /two LUKS2 headers differ; the first one was used/,
    inPlace((volume) => {
      const [, second] = headersOf(volume)
      writeJson(second, `${readJson(second)} `)
      reseal(volume)
    }),
  ],
}
