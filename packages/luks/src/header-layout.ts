/**
 * Where the fields of a LUKS1 header lie. LUKS On-Disk Format Specification 1.2.3, figures 1 and 2. All numbers are
 * 32 bits big-endian, except the version with 16; offsets to areas count sectors of 512 bytes.
 */
export const headerLayout = {
  magic: { offset: 0, sizeBytes: 6 },
  version: { offset: 6, sizeBytes: 2 },
  cipherName: { offset: 8, sizeBytes: 32 },
  cipherMode: { offset: 40, sizeBytes: 32 },
  hashSpec: { offset: 72, sizeBytes: 32 },
  payloadOffset: { offset: 104, sizeBytes: 4 },
  keyBytes: { offset: 108, sizeBytes: 4 },
  digest: { offset: 112, sizeBytes: 20 },
  digestSalt: { offset: 132, sizeBytes: 32 },
  digestIterations: { offset: 164, sizeBytes: 4 },
  uuid: { offset: 168, sizeBytes: 40 },
} as const

/** The fields of one key slot; slot `index` begins at `keySlotOffsetOf(index)`. */
export const keySlotLayout = {
  state: { offset: 0, sizeBytes: 4 },
  iterations: { offset: 4, sizeBytes: 4 },
  salt: { offset: 8, sizeBytes: 32 },
  keyMaterialOffset: { offset: 40, sizeBytes: 4 },
  stripes: { offset: 44, sizeBytes: 4 },
} as const

const keySlotsOffset = 208
export const keySlotSizeBytes = 48
export const keySlotCount = 8

/** Where the fields of slot `index` begin. */
export function keySlotOffsetOf(index: number): number {
  return keySlotsOffset + index * keySlotSizeBytes
}

/** Size of the fields together; key material follows after padding. */
export const headerFieldsSizeBytes = keySlotsOffset + keySlotCount * keySlotSizeBytes

/** `LUKS` and two bytes that no text holds. */
export const luksMagic: Uint8Array = Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe)

export const keySlotEnabled = 0x00ac_71f3
export const keySlotDisabled = 0x0000_dead

/** The one stripe count that writers use and readers accept. */
export const stripeCount = 4000

export const sectorSizeBytes = 512

/** Key material begins at whole multiples of this, as cryptsetup lays it out. */
export const keyMaterialAlignmentBytes = 4096

/** Limit on a foreign header: the farthest payload that we read up to. cryptsetup puts it at 1 to 4 MiB. */
export const payloadOffsetMaxBytes = 16 * 1_048_576

/** Limit on a foreign header: some half a minute of PBKDF2. QEMU's formatter makes about 10 million on today's machines. */
export const iterationsMax = 100_000_000

/** What we write: the least that every tool accepts. Enough, since our passphrases have 256 random bits. */
export const iterationsWritten = 1000

/** How many bytes the key material of one slot takes, up to whole sectors. */
export function keyMaterialSizeBytes(volumeKeySizeBytes: number): number {
  return Math.ceil((volumeKeySizeBytes * stripeCount) / sectorSizeBytes) * sectorSizeBytes
}

/** Where a field lies; the layouts above are made of these. */
export interface Field {
  readonly offset: number
  readonly sizeBytes: number
}

/** The bytes of `field` in the structure that begins at `start`. */
export function fieldOf(bytes: Uint8Array, field: Field, start = 0): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start + field.offset, field.sizeBytes)
}
