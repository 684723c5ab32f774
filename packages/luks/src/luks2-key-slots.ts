import { type CipherName, checkCipher, checkKeySize } from './cipher-spec.ts'
import { iterationsMax, keyMaterialSizeBytes, stripeCount } from './header-layout.ts'
import type { JsonObject } from './json-object.ts'
import type { KeyDerivation } from './key-derivation.ts'
import { LuksError } from './luks-error.ts'
import { checkHash, type LuksHash } from './luks-hash.ts'
import { objectCountMax } from './luks2-layout.ts'
import { reencryptionError } from './luks2-reencryption.ts'

/** A key slot of a LUKS2 volume that we can open. */
export interface Luks2KeySlot {
  readonly id: number
  /** Size of the volume key that it holds. */
  readonly keySizeBytes: number
  readonly derivation: KeyDerivation
  readonly splitHash: LuksHash
  /** Where the encrypted key material lies, and how it is encrypted. */
  readonly area: {
    readonly offsetBytes: number
    readonly cipher: CipherName
    readonly keySizeBytes: number
  }
  readonly priority: number
}

/** Key slots by whether they can be of use, and why not. */
export interface Luks2KeySlots {
  readonly usable: readonly Luks2KeySlot[]
  readonly refusals: readonly LuksError[]
}

interface Range {
  readonly start: number
  readonly end: number
}

/** Limits of RFC 9106 and of cryptsetup, far above what either uses; the work that they cost has its own limit. */
const argon2PassesMax = 0xffff_ffff
const argon2MemoryKibMax = 0xffff_ffff
const argon2ParallelismMax = 255

/**
 * Reads the key slots (LUKS2 On-Disk Format, 3.2), whose areas lie within `place` and not in each other. One that asks for a hash, a
 * cipher or a type that we do not have is left out: another one may do. Throws a LuksError for one that is malformed.
 */
export function readKeySlots(root: JsonObject, place: Range): Luks2KeySlots {
  const usable: Luks2KeySlot[] = []
  const refusals: LuksError[] = []
  const ranges: (Range & { readonly id: number })[] = []
  for (const [id, slot] of root.numbered('keyslots', objectCountMax)) {
    const type = slot.text('type')
    if (type === 'reencrypt') throw reencryptionError()
    ranges.push({ id, ...readRange(slot, place) })
    try {
      if (type !== 'luks2') {
        throw new LuksError('unsupported-key-slot', `${slot.path} is of type ${type}, only luks2 is supported`)
      }
      usable.push(readKeySlot(id, slot))
    } catch (error) {
      if (!(error instanceof LuksError && error.code.startsWith('unsupported-'))) throw error
      refusals.push(error)
    }
  }
  checkApart(ranges)
  // The preferred ones first; those that cryptsetup tries only when asked to come last.
  return { usable: usable.toSorted((one, other) => other.priority - one.priority), refusals }
}

function readKeySlot(id: number, slot: JsonObject): Luks2KeySlot {
  const keySizeBytes = slot.integer('key_size', 1, 64)
  const af = slot.object('af')
  const afType = af.text('type')
  const stripes = af.integer('stripes', 1, 0xffff_ffff)
  if (afType !== 'luks1' || stripes !== stripeCount) {
    throw new LuksError(
      'bad-stripes',
      `${af.path} is of type ${afType} with ${stripes} stripes, expected luks1 with ${stripeCount}`,
    )
  }
  const area = slot.object('area')
  const areaType = area.text('type')
  if (areaType !== 'raw') {
    throw new LuksError('unsupported-key-slot', `${area.path} is of type ${areaType}, only raw is supported`)
  }
  if (area.bigInteger('size') < keyMaterialSizeBytes(keySizeBytes)) {
    throw new LuksError(
      'bad-field',
      `the LUKS2 header: ${area.path}.size is too small for a key of ${keySizeBytes} bytes`,
    )
  }
  const cipher = checkCipher(area.text('encryption'), area.path)
  const areaKeySizeBytes = area.integer('key_size', 1, 64)
  checkKeySize(cipher, areaKeySizeBytes, `${area.path}: key`)
  return {
    id,
    keySizeBytes,
    derivation: readDerivation(slot.object('kdf')),
    splitHash: checkHash(af.text('hash'), af.path),
    area: { offsetBytes: area.bigInteger('offset'), cipher, keySizeBytes: areaKeySizeBytes },
    priority: slot.has('priority') ? slot.integer('priority', 0, 2) : 1,
  }
}

function readDerivation(kdf: JsonObject): KeyDerivation {
  const type = kdf.text('type')
  const salt = kdf.bytes('salt', 8, 64)
  if (type === 'pbkdf2') {
    const iterations = kdf.integer('iterations', 1, iterationsMax)
    return { type, salt, iterations, hash: checkHash(kdf.text('hash'), kdf.path) }
  }
  if (type !== 'argon2i' && type !== 'argon2id') {
    throw new LuksError(
      'unsupported-key-derivation',
      `${kdf.path} is of type ${type}, only pbkdf2, argon2i and argon2id are supported`,
    )
  }
  const parallelism = kdf.integer('cpus', 1, argon2ParallelismMax)
  // RFC 9106, 3.1: at least 8 blocks of 1 KiB for each lane.
  const memoryKib = kdf.integer('memory', 8 * parallelism, argon2MemoryKibMax)
  return { type, salt, parallelism, memoryKib, passes: kdf.integer('time', 1, argon2PassesMax) }
}

function readRange(slot: JsonObject, { start, end }: Range): Range {
  const area = slot.object('area')
  const offsetBytes = area.bigInteger('offset')
  const areaEnd = offsetBytes + area.bigInteger('size')
  if (offsetBytes < start || areaEnd > end) {
    throw new LuksError(
      'slot-out-of-range',
      `${slot.path} has its key material at ${offsetBytes} to ${areaEnd}, not between ${start} and ${end}`,
    )
  }
  return { start: offsetBytes, end: areaEnd }
}

function checkApart(ranges: readonly (Range & { readonly id: number })[]): void {
  const ordered = ranges.toSorted((one, other) => one.start - other.start)
  for (const [position, range] of ordered.entries()) {
    const next = ordered[position + 1]
    if (next !== undefined && range.end > next.start) {
      throw new LuksError('slots-overlap', `the key material of key slots ${range.id} and ${next.id} overlaps`)
    }
  }
}
