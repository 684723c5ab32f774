/**
 * Where the fields of a LUKS2 binary header lie. LUKS2 On-Disk Format Specification 1.1.1, 2.1. Numbers are big-endian,
 * texts end in zeros.
 */
export const luks2Layout = {
  magic: { offset: 0, sizeBytes: 6 },
  version: { offset: 6, sizeBytes: 2 },
  headerSize: { offset: 8, sizeBytes: 8 },
  sequence: { offset: 16, sizeBytes: 8 },
  label: { offset: 24, sizeBytes: 48 },
  checksumAlgorithm: { offset: 72, sizeBytes: 32 },
  salt: { offset: 104, sizeBytes: 64 },
  uuid: { offset: 168, sizeBytes: 40 },
  subsystem: { offset: 208, sizeBytes: 48 },
  headerOffset: { offset: 256, sizeBytes: 8 },
  checksum: { offset: 448, sizeBytes: 64 },
} as const

/** `SKUL` and two bytes that no text holds: how the second header begins. */
export const secondMagic: Uint8Array = Uint8Array.of(0x53, 0x4b, 0x55, 0x4c, 0xba, 0xbe)

/** Size of the binary part of a header; its JSON area follows. */
export const binaryHeaderSizeBytes = 4096

/** The sizes of a header with its JSON area that the format allows (2.1, hdr_size); the second header follows the first. */
export const headerSizesBytes: readonly number[] = Array.from({ length: 9 }, (_, index) => 16_384 << index)

/** Limits on a foreign header. cryptsetup has at most 32 key slots, and a few of the others. */
export const objectCountMax = 32
