import { LuksError } from './luks-error.ts'

/** OpenSSL's names of the hashes that LUKS headers may name, and their sizes. Those below 20 bytes no writer takes. */
const hashes = {
  sha1: { name: 'sha1', sizeBytes: 20 },
  sha224: { name: 'sha224', sizeBytes: 28 },
  sha256: { name: 'sha256', sizeBytes: 32 },
  sha384: { name: 'sha384', sizeBytes: 48 },
  sha512: { name: 'sha512', sizeBytes: 64 },
  ripemd160: { name: 'ripemd160', sizeBytes: 20 },
  'sha3-224': { name: 'sha3-224', sizeBytes: 28 },
  'sha3-256': { name: 'sha3-256', sizeBytes: 32 },
  'sha3-384': { name: 'sha3-384', sizeBytes: 48 },
  'sha3-512': { name: 'sha3-512', sizeBytes: 64 },
  'blake2b-512': { name: 'blake2b512', sizeBytes: 64 },
  'blake2s-256': { name: 'blake2s256', sizeBytes: 32 },
  sm3: { name: 'sm3', sizeBytes: 32 },
} as const

/** A hash by its name in a LUKS header, for PBKDF2 and the AF splitter. */
export type LuksHash = keyof typeof hashes

/** The hashes that QEMU's LUKS driver knows too, in the builds of all distributions that we know. */
export const qemuHashes: ReadonlySet<LuksHash> = new Set([
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'ripemd160',
] as const)

/** Takes a header's text for a hash; `where` names the field. Throws a LuksError `unsupported-hash` for one not known. */
export function checkHash(text: string, where: string): LuksHash {
  if (!Object.hasOwn(hashes, text)) {
    throw new LuksError(
      'unsupported-hash',
      `${where}: hash ${text} is not supported, only ${Object.keys(hashes).join(', ')}`,
    )
  }
  // One of the table's own keys.
  return text as LuksHash
}

/** The name that node:crypto knows a hash by. */
export function opensslNameOf(hash: LuksHash): string {
  return hashes[hash].name
}

/** How many bytes a hash gives. */
export function hashSizeBytesOf(hash: LuksHash): number {
  return hashes[hash].sizeBytes
}
