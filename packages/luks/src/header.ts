import { type CipherName, checkCipher, checkKeySize, checkOwnCipher } from './cipher-spec.ts'
import {
  fieldOf,
  headerFieldsSizeBytes,
  headerLayout,
  iterationsMax,
  keyMaterialSizeBytes,
  keySlotCount,
  keySlotDisabled,
  keySlotEnabled,
  keySlotLayout,
  keySlotOffsetOf,
  luksMagic,
  payloadOffsetMaxBytes,
  sectorSizeBytes,
  stripeCount,
} from './header-layout.ts'
import { LuksError } from './luks-error.ts'
import { checkHash, type LuksHash } from './luks-hash.ts'

/** A key slot's fields; its key material lies elsewhere in the header area. */
export interface KeySlot {
  readonly index: number
  readonly active: boolean
  readonly iterations: number
  readonly salt: Uint8Array
  readonly keyMaterialOffsetBytes: number
}

/** A LUKS1 header whose every field was checked. All of it is public. */
export interface Header {
  readonly cipher: CipherName
  readonly hash: LuksHash
  /** 64 for AES-256-XTS, 32 for AES-128-XTS. */
  readonly volumeKeySizeBytes: number
  readonly payloadOffsetBytes: number
  readonly digest: Uint8Array
  readonly digestSalt: Uint8Array
  readonly digestIterations: number
  readonly uuid: string
  readonly keySlots: readonly KeySlot[]
}

/**
 * Reads the fields of a LUKS1 header (LUKS On-Disk Format 1.2.3, 2.4) that QEMU and we can work on: cipher `aes`, mode
 * `xts-plain64`, payload not beyond `payloadOffsetMaxBytes`. Takes the beginning of a volume, 592 bytes or more. Throws a
 * LuksError with the code of the first check that fails; nothing is repaired.
 */
export function parseHeader(bytes: Uint8Array): Header {
  const header = parseForeignHeader(bytes)
  checkOwnCipher(header.cipher)
  if (header.payloadOffsetBytes > payloadOffsetMaxBytes) {
    throw new LuksError(
      'bad-payload-offset',
      `payload at ${header.payloadOffsetBytes}: expected it not beyond ${payloadOffsetMaxBytes}`,
    )
  }
  return header
}

/** Reads any LUKS1 header with a cipher that we can read, wherever its payload lies; otherwise as `parseHeader`. */
export function parseForeignHeader(bytes: Uint8Array): Header {
  if (bytes.length >= luksMagic.length && !fieldOf(bytes, headerLayout.magic).equals(luksMagic)) {
    throw new LuksError('bad-magic', 'not a LUKS volume: it does not begin with the LUKS magic')
  }
  if (bytes.length < headerFieldsSizeBytes) {
    throw new LuksError('truncated', `a LUKS header has ${headerFieldsSizeBytes} bytes, got ${bytes.length}`)
  }
  const version = fieldOf(bytes, headerLayout.version).readUInt16BE()
  if (version !== 1) throw new LuksError('unsupported-version', `LUKS version ${version}: expected version 1`)
  const cipher = checkCipher(`${textOf(bytes, 'cipherName')}-${textOf(bytes, 'cipherMode')}`, 'the header')
  const volumeKeySizeBytes = fieldOf(bytes, headerLayout.keyBytes).readUInt32BE()
  checkKeySize(cipher, volumeKeySizeBytes, 'volume key')
  const header: Header = {
    cipher,
    hash: checkHash(textOf(bytes, 'hashSpec'), 'the header'),
    volumeKeySizeBytes,
    payloadOffsetBytes: readPayloadOffset(bytes),
    digest: Uint8Array.from(fieldOf(bytes, headerLayout.digest)),
    digestSalt: Uint8Array.from(fieldOf(bytes, headerLayout.digestSalt)),
    digestIterations: checkIterations('the digest', fieldOf(bytes, headerLayout.digestIterations).readUInt32BE()),
    uuid: readUuid(bytes),
    keySlots: Array.from({ length: keySlotCount }, (_, index) => readKeySlot(bytes, index)),
  }
  checkAreas(header)
  return header
}

function readPayloadOffset(bytes: Uint8Array): number {
  const offsetBytes = fieldOf(bytes, headerLayout.payloadOffset).readUInt32BE() * sectorSizeBytes
  if (offsetBytes === 0)
    throw new LuksError('bad-payload-offset', 'payload offset 0: detached headers are not supported')
  if (offsetBytes < headerFieldsSizeBytes) {
    throw new LuksError('bad-payload-offset', `payload at ${offsetBytes}: expected it after the header`)
  }
  return offsetBytes
}

function readUuid(bytes: Uint8Array): string {
  const uuid = textOf(bytes, 'uuid')
  if (!/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(uuid)) {
    throw new LuksError('bad-uuid', 'the UUID in the header is not one')
  }
  return uuid.toLowerCase()
}

function readKeySlot(bytes: Uint8Array, index: number): KeySlot {
  const start = keySlotOffsetOf(index)
  const state = fieldOf(bytes, keySlotLayout.state, start).readUInt32BE()
  if (state !== keySlotEnabled && state !== keySlotDisabled) {
    throw new LuksError('bad-slot-state', `key slot ${index} is neither enabled nor disabled`)
  }
  const stripes = fieldOf(bytes, keySlotLayout.stripes, start).readUInt32BE()
  if (stripes !== stripeCount) {
    throw new LuksError('bad-stripes', `key slot ${index} has ${stripes} stripes, expected ${stripeCount}`)
  }
  const active = state === keySlotEnabled
  const iterations = fieldOf(bytes, keySlotLayout.iterations, start).readUInt32BE()
  return {
    index,
    active,
    iterations: active ? checkIterations(`key slot ${index}`, iterations) : iterations,
    salt: Uint8Array.from(fieldOf(bytes, keySlotLayout.salt, start)),
    keyMaterialOffsetBytes: fieldOf(bytes, keySlotLayout.keyMaterialOffset, start).readUInt32BE() * sectorSizeBytes,
  }
}

function checkIterations(what: string, iterations: number): number {
  if (iterations < 1 || iterations > iterationsMax) {
    throw new LuksError('bad-iterations', `${what} has ${iterations} PBKDF2 iterations, expected 1 to ${iterationsMax}`)
  }
  return iterations
}

/** Key material of every slot, disabled ones too, lies between the fields and the payload, none in another's. */
function checkAreas({ keySlots, volumeKeySizeBytes, payloadOffsetBytes }: Header): void {
  const sizeBytes = keyMaterialSizeBytes(volumeKeySizeBytes)
  for (const { index, keyMaterialOffsetBytes: offset } of keySlots) {
    if (offset < headerFieldsSizeBytes || offset + sizeBytes > payloadOffsetBytes) {
      throw new LuksError(
        'slot-out-of-range',
        `key slot ${index} has its key material at ${offset}, not between header and payload`,
      )
    }
  }
  const byOffset = keySlots.toSorted((one, other) => one.keyMaterialOffsetBytes - other.keyMaterialOffsetBytes)
  byOffset.forEach((slot, position) => {
    const next = byOffset[position + 1]
    if (next !== undefined && slot.keyMaterialOffsetBytes + sizeBytes > next.keyMaterialOffsetBytes) {
      throw new LuksError('slots-overlap', `the key material of key slots ${slot.index} and ${next.index} overlaps`)
    }
  })
}

/** A text field: printable ASCII, then zeros to the end. */
function textOf(bytes: Uint8Array, name: 'cipherName' | 'cipherMode' | 'hashSpec' | 'uuid'): string {
  const text = fieldOf(bytes, headerLayout[name]).toString('latin1')
  const match = /^([!-~]+)\0+$/.exec(text)
  if (match?.[1] === undefined) {
    throw new LuksError('bad-text', `the header's field ${name} is not a text that ends in zeros`)
  }
  return match[1]
}
