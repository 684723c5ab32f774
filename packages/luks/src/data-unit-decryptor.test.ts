import assert from 'node:assert/strict'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { DataUnitSizeBytes } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'
import type { CipherName } from './cipher-spec.ts'
import { createDecryptor } from './data-unit-decryptor.ts'

/** The number of a sector in 128 bits, little-endian, of which `bytes` count. */
function numberOf(sector: number, bytes: 4 | 8): Buffer {
  const iv = Buffer.alloc(16)
  iv.writeBigUInt64LE(bytes === 4 ? BigInt(sector) & 0xffff_ffffn : BigInt(sector))
  return iv
}

/** Encrypts one data unit by OpenSSL alone, as dm-crypt documents its ciphers and IVs. */
function encryptUnit(cipher: CipherName, key: Uint8Array, plaintext: Uint8Array, sector: number): Buffer {
  const number = numberOf(sector, /plain$/.test(cipher) ? 4 : 8)
  const essiv = () => {
    const salt = createHash('sha256').update(key).digest()
    return createCipheriv('aes-256-ecb', salt, null).setAutoPadding(false).update(number)
  }
  const iv = cipher.includes('essiv') ? essiv() : number
  const bits = cipher.includes('xts') ? key.length * 4 : key.length * 8
  const encryptor = createCipheriv(`aes-${bits}-${cipher.includes('xts') ? 'xts' : 'cbc'}`, key, iv)
  return encryptor.setAutoPadding(false).update(plaintext)
}

const keySizes = { xts: [32, 64], cbc: [16, 24, 32] } as const
const names: readonly CipherName[] = [
  'aes-xts-plain64',
  'aes-xts-plain',
  'aes-cbc-essiv:sha256',
  'aes-cbc-plain64',
  'aes-cbc-plain',
]

for (const cipher of names) {
  for (const unitSizeBytes of [512, 1024, 2048, 4096] as const) {
    test(`${cipher} with units of ${unitSizeBytes} bytes decrypts what OpenSSL encrypts unit by unit`, () => {
      for (const keySizeBytes of keySizes[cipher.includes('xts') ? 'xts' : 'cbc']) {
        // The second begins just before numbers take more than 32 bits; the count is more than one batch of the decryptor.
        for (const [sector, ivTweak] of [
          [0, 0],
          [0xffff_fff8, 0],
          [8, 0xffff_fff0],
          [8, 0xffff_fff3],
          [16, 4097],
        ] as const) {
          check({ cipher, unitSizeBytes, keySizeBytes, sector, ivTweak })
        }
      }
    })
  }
}

function check(given: {
  cipher: CipherName
  unitSizeBytes: DataUnitSizeBytes
  keySizeBytes: number
  sector: number
  ivTweak: number
}): void {
  const { cipher, unitSizeBytes, keySizeBytes, sector, ivTweak } = given
  const keyBytes = randomBytes(keySizeBytes)
  const plaintext = randomBytes(160 * 1024)
  const units = Array.from({ length: plaintext.length / unitSizeBytes }, (_, unit) => {
    const start = unit * unitSizeBytes
    const number = sector + ivTweak + start / 512
    return encryptUnit(cipher, keyBytes, plaintext.subarray(start, start + unitSizeBytes), number)
  })
  const ciphertext = Buffer.concat(units)
  using key = Secret.from(Uint8Array.from(keyBytes))
  using decryptor = createDecryptor(key, { cipher, unitSizeBytes, ivTweak })
  const target = Buffer.alloc(ciphertext.length)
  decryptor.decrypt(ciphertext, sector, target)
  assert.ok(target.equals(plaintext), JSON.stringify(given))
  assert.ok(!ciphertext.equals(plaintext), 'the source is as it was')
  decryptor.decrypt(ciphertext, sector)
  assert.ok(ciphertext.equals(plaintext), `in place, ${JSON.stringify(given)}`)
}

test('parts of data units and impossible sectors are refused by every cipher', () => {
  for (const cipher of names) {
    using key = Secret.random(32)
    using decryptor = createDecryptor(key, { cipher, unitSizeBytes: 4096, ivTweak: 0 })
    assert.throws(() => decryptor.decrypt(new Uint8Array(512), 0), { name: 'CryptoError', code: 'data-size' })
    assert.throws(() => decryptor.decrypt(new Uint8Array(4096), 0, new Uint8Array(8192)), { code: 'data-size' })
    for (const sector of [-8, 0.5, Number.MAX_SAFE_INTEGER]) {
      assert.throws(
        () => decryptor.decrypt(new Uint8Array(4096), sector),
        { code: 'sector-range' },
        `${cipher} ${sector}`,
      )
    }
  }
})
