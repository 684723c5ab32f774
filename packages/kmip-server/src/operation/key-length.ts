/** Key lengths that are made and taken, in bits, by algorithm; others are taken only when they are registered. */
const lengths: Readonly<Record<string, readonly number[]>> = {
  AES: [128, 192, 256],
  ARIA: [128, 192, 256],
  Camellia: [128, 192, 256],
  ChaCha20: [256],
  ChaCha20Poly1305: [256],
  SEED: [128],
  SKIPJACK: [80],
  Twofish: [128, 192, 256],
}

/** Algorithms that take a key of any length; what is made is from 80 bits up (NIST SP 800-131A) to a block and more. */
const anyLength = /^HMAC_/
const anyLengthMin = 80
const anyLengthMax = 4096

/** The effective lengths that the standard's cases use, and those with parity bits that other servers use. */
const tripleDesSizes: Readonly<Record<number, number>> = { 112: 16, 128: 16, 168: 24, 192: 24 }

/** How many bytes a key that is to be made has; `null` when keys of that algorithm and length are not made. */
export function madeKeySizeBytes(algorithm: string | number, lengthBits: number): number | null {
  if (algorithm === 'DES3') return tripleDesSizes[lengthBits] ?? null
  const isMade =
    (Object.hasOwn(lengths, algorithm) && lengths[algorithm]?.includes(lengthBits) === true) ||
    (typeof algorithm === 'string' &&
      anyLength.test(algorithm) &&
      lengthBits % 8 === 0 &&
      lengthBits >= anyLengthMin &&
      lengthBits <= anyLengthMax)
  return isMade ? lengthBits / 8 : null
}

/** Whether a key of `sizeBytes` bytes can be one of `lengthBits` bits. */
export function isLengthOf(algorithm: string | number, lengthBits: number, sizeBytes: number): boolean {
  if (algorithm === 'DES3') return tripleDesSizes[lengthBits] === sizeBytes
  return lengthBits === sizeBytes * 8
}

/** Gives each byte of a DES key odd parity in its lowest bit (FIPS 46-3). */
export function setOddParity(bytes: Uint8Array): void {
  for (const [index, byte] of bytes.entries()) {
    let ones = 0
    for (let bit = 1; bit < 8; bit++) ones += (byte >> bit) & 1
    bytes[index] = (byte & 0xfe) | (ones % 2 === 0 ? 1 : 0)
  }
}
