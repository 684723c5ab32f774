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
  keySlotSizeBytes,
  keySlotsOffset,
  luksMagic,
  payloadOffsetMaxBytes,
  sectorSizeBytes,
  stripeCount,
} from './header-layout.ts'
import { LuksError } from './luks-error.ts'

/** The hashes that LUKS1 writers use for PBKDF2 and the AF splitter, by their names in the header. */
export type LuksHash = 'sha1' | 'sha256' | 'sha512'

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
  readonly hash: LuksHash
  /** 64 for AES-256-XTS, 32 for AES-128-XTS. */
  readonly volumeKeySizeBytes: 64 | 32
  readonly payloadOffsetBytes: number
  readonly digest: Uint8Array
  readonly digestSalt: Uint8Array
  readonly digestIterations: number
  readonly uuid: string
  readonly keySlots: readonly KeySlot[]
}

/**
 * Reads the fields of a LUKS1 header (LUKS On-Disk Format 1.2.3, 2.4) with cipher `aes`, mode `xts-plain64`. Takes the
 * beginning of a volume, 592 bytes or more. Throws a LuksError with the code of the first check that fails; nothing is
 * repaired.
 */
export function parseHeader(bytes: Uint8Array): Header {
  if (bytes.length >= luksMagic.length && !fieldOf(bytes, headerLayout.magic).equals(luksMagic)) {
    throw new LuksError('bad-magic', 'not a LUKS volume: it does not begin with the LUKS magic')
  }
  if (bytes.length < headerFieldsSizeBytes) {
    throw new LuksError('truncated', `a LUKS header has ${headerFieldsSizeBytes} bytes, got ${bytes.length}`)
  }
  const version = fieldOf(bytes, headerLayout.version).readUInt16BE()
  if (version !== 1) throw new LuksError('unsupported-version', `LUKS version ${version}: only version 1 is supported`)
  checkCipher(textOf(bytes, 'cipherName'), textOf(bytes, 'cipherMode'))
  const volumeKeySizeBytes = readKeySize(bytes)
  const header: Header = {
    hash: readHash(bytes),
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

function checkCipher(name: string, mode: string): void {
  if (name !== 'aes' || mode !== 'xts-plain64') {
    throw new LuksError('unsupported-cipher', `cipher ${name}-${mode}: only aes-xts-plain64 is supported`)
  }
}

function readHash(bytes: Uint8Array): LuksHash {
  const hash = textOf(bytes, 'hashSpec')
  if (hash !== 'sha1' && hash !== 'sha256' && hash !== 'sha512') {
    throw new LuksError('unsupported-hash', `hash ${hash}: only sha1, sha256 and sha512 are supported`)
  }
  return hash
}

function readKeySize(bytes: Uint8Array): 64 | 32 {
  const keyBytes = fieldOf(bytes, headerLayout.keyBytes).readUInt32BE()
  if (keyBytes !== 64 && keyBytes !== 32) {
    throw new LuksError('bad-key-size', `volume key of ${keyBytes} bytes: aes-xts takes 64 or 32`)
  }
  return keyBytes
}

function readPayloadOffset(bytes: Uint8Array): number {
  const offsetBytes = fieldOf(bytes, headerLayout.payloadOffset).readUInt32BE() * sectorSizeBytes
  if (offsetBytes === 0)
    throw new LuksError('bad-payload-offset', 'payload offset 0: detached headers are not supported')
  if (offsetBytes < headerFieldsSizeBytes || offsetBytes > payloadOffsetMaxBytes) {
    throw new LuksError(
      'bad-payload-offset',
      `payload at ${offsetBytes}: expected it after the header and not beyond ${payloadOffsetMaxBytes}`,
    )
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
  const start = keySlotsOffset + index * keySlotSizeBytes
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
