import type { DataUnitSizeBytes } from '@cryptvisor/crypto'
import { type CipherName, checkCipher, checkKeySize } from './cipher-spec.ts'
import { iterationsMax, sectorSizeBytes } from './header-layout.ts'
import { JsonObject } from './json-object.ts'
import type { KeyDerivation } from './key-derivation.ts'
import { LuksError } from './luks-error.ts'
import { checkHash } from './luks-hash.ts'
import type { Luks2Header } from './luks2-header.ts'
import { type Luks2KeySlot, readKeySlots } from './luks2-key-slots.ts'
import { binaryHeaderSizeBytes, objectCountMax } from './luks2-layout.ts'
import { reencryptionError } from './luks2-reencryption.ts'

/** Limit on a foreign header: sector numbers with this added are still exact in a JavaScript number. */
const ivTweakMax = 2 ** 52

/** What a digest tells: whether a key is the volume key. */
export interface Luks2Digest {
  readonly derivation: KeyDerivation
  readonly digest: Uint8Array
}

/** The payload of a LUKS2 volume. */
export interface Luks2Segment {
  readonly cipher: CipherName
  readonly unitSizeBytes: DataUnitSizeBytes
  readonly offsetBytes: number
  /** `null` where it reaches to the end of the volume. */
  readonly sizeBytes: number | null
  readonly ivTweak: number
}

/** All that opening a LUKS2 volume takes, checked. */
export interface Luks2Metadata {
  readonly segment: Luks2Segment
  /** Those of the payload's key that we can open, the preferred ones first. */
  readonly keySlots: readonly Luks2KeySlot[]
  readonly digest: Luks2Digest
  readonly warnings: readonly string[]
}

/**
 * Reads the JSON area (LUKS2 On-Disk Format, 3) of a volume with one `crypt` segment. Throws a LuksError that names what
 * is not as it must be or not supported: a re-encryption that has not ended, integrity, a detached header among them.
 */
export function parseMetadata(header: Luks2Header): Luks2Metadata {
  const root = JsonObject.parse(header.json)
  const keySlotsEnd = checkConfig(root.object('config'), header)
  const slots = readKeySlots(root, { start: 2 * header.sizeBytes, end: keySlotsEnd })
  const [id, segment] = readSegment(root)
  if (segment.offsetBytes < keySlotsEnd) {
    throw new LuksError(
      segment.offsetBytes === 0 ? 'detached-header' : 'bad-payload-offset',
      segment.offsetBytes === 0
        ? 'payload offset 0: this is a detached header, or the payload of one; join them before importing'
        : `payload at ${segment.offsetBytes}: expected it after the key slots, which end at ${keySlotsEnd}`,
    )
  }
  const [digest, slotIds] = readDigest(root, id)
  const own = slots.usable.filter((slot) => slotIds.includes(slot.id))
  for (const { keySizeBytes, id: slot } of own)
    checkKeySize(segment.cipher, keySizeBytes, `key slot ${slot}: volume key`)
  if (own.length === 0) {
    throw slots.refusals[0] ?? new LuksError('no-active-slot', 'no key slot is in use: nothing can open this volume')
  }
  return { segment, digest, keySlots: own, warnings: slots.refusals.map(({ message }) => message) }
}

/** Refuses what asks for more than we know; gives the end of the key slots' area. */
function checkConfig(config: JsonObject, { sizeBytes }: Luks2Header): number {
  const jsonSizeBytes = config.bigInteger('json_size')
  if (jsonSizeBytes !== sizeBytes - binaryHeaderSizeBytes) {
    throw new LuksError(
      'bad-field',
      `the LUKS2 header: config.json_size is ${jsonSizeBytes}, the header has ${sizeBytes}`,
    )
  }
  const requirements = config.has('requirements') ? config.object('requirements') : null
  const mandatory = requirements?.has('mandatory') ? requirements.texts('mandatory', objectCountMax) : []
  for (const requirement of mandatory) {
    if (/^(online|offline)-reencrypt/.test(requirement)) throw reencryptionError()
    throw new LuksError(
      'unsupported-requirement',
      `the LUKS2 header requires ${requirement}, which this version does not know`,
    )
  }
  return 2 * sizeBytes + config.bigInteger('keyslots_size')
}

function readSegment(root: JsonObject): readonly [id: number, segment: Luks2Segment] {
  const [first, ...others] = root.numbered('segments', objectCountMax)
  if (first === undefined || others.length > 0) {
    const count = first === undefined ? 0 : others.length + 1
    throw new LuksError('unsupported-segment', `the LUKS2 header has ${count} segments, only one is supported`)
  }
  const [id, object] = first
  const type = object.text('type')
  if (type !== 'crypt') {
    throw new LuksError('unsupported-segment', `${object.path} is of type ${type}, only crypt is supported`)
  }
  if (object.has('integrity')) {
    throw new LuksError(
      'unsupported-integrity',
      `${object.path} has integrity protection, which cannot be read here: copy the disk out with cryptsetup`,
    )
  }
  if (object.has('flags') && object.texts('flags', objectCountMax).length > 0) throw reencryptionError()
  const unitSizeBytes = checkUnitSize(object)
  const sizeBytes = object.text('size') === 'dynamic' ? null : object.bigInteger('size')
  const offsetBytes = object.bigInteger('offset')
  if (
    offsetBytes % sectorSizeBytes !== 0 ||
    (sizeBytes !== null && (sizeBytes === 0 || sizeBytes % unitSizeBytes !== 0))
  ) {
    throw new LuksError('bad-field', `the LUKS2 header: ${object.path} is not made of whole sectors`)
  }
  const cipher = checkCipher(object.text('encryption'), object.path)
  const ivTweak = object.bigInteger('iv_tweak')
  if (ivTweak > ivTweakMax) {
    throw new LuksError(
      'bad-field',
      `the LUKS2 header: ${object.path}.iv_tweak is ${ivTweak}, expected at most ${ivTweakMax}`,
    )
  }
  return [id, { cipher, unitSizeBytes, offsetBytes, sizeBytes, ivTweak }]
}

function checkUnitSize(segment: JsonObject): DataUnitSizeBytes {
  const sizeBytes = segment.integer('sector_size', 1, 65_536)
  if (sizeBytes !== 512 && sizeBytes !== 1024 && sizeBytes !== 2048 && sizeBytes !== 4096) {
    throw new LuksError(
      'unsupported-sector-size',
      `${segment.path}: sectors of ${sizeBytes} bytes are not supported, only 512, 1024, 2048 and 4096`,
    )
  }
  return sizeBytes
}

/** The digest of a segment's key, and the key slots that hold that key. */
function readDigest(root: JsonObject, segment: number): readonly [digest: Luks2Digest, keySlots: readonly number[]] {
  const digests = root.numbered('digests', objectCountMax)
  const own = digests.filter(([, digest]) => digest.references('segments', objectCountMax).includes(segment))
  const [entry, ...others] = own
  if (entry === undefined || others.length > 0) {
    throw new LuksError('bad-digest', `the LUKS2 header has ${own.length} digests for its segment, expected one`)
  }
  const [, object] = entry
  const type = object.text('type')
  if (type !== 'pbkdf2') {
    throw new LuksError('unsupported-key-derivation', `${object.path} is of type ${type}, only pbkdf2 is supported`)
  }
  const derivation: KeyDerivation = {
    type: 'pbkdf2',
    hash: checkHash(object.text('hash'), object.path),
    iterations: object.integer('iterations', 1, iterationsMax),
    salt: object.bytes('salt', 8, 64),
  }
  return [{ derivation, digest: object.bytes('digest', 20, 64) }, object.references('keyslots', objectCountMax)]
}
