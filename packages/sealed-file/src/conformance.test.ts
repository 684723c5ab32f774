import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { seal } from './seal.ts'
import { type ReferenceParameters, unsealReference } from './testing/reference.ts'

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const textOf = (text: string) => new TextEncoder().encode(text)
const longKey = bytesOf('00112233445566778899aabbccddeeff6eb56cdc726dfbe5d57f2fcdc6e9345b')
const none = new Uint8Array()

/** Vectors of Tink's cross-language tests for AesGcmHkdfStreaming keys (three segments; SHA-256; 256-bit keys; two segments). */
const vectors: readonly (readonly [ReferenceParameters, Uint8Array, string])[] = [
  [
    {
      key: longKey.subarray(16),
      associatedData: textOf('aad'),
      hash: 'sha1',
      derivedKeySizeBytes: 16,
      segmentSizeBytes: 64,
    },
    textOf('This is a fairly long plaintext. It is of the exact length to create three output blocks. '),
    '1893b3af5e14ab378d065addfc8484da642c0862877baea8db92d9c77406a406168478821c4298eab3e6d531277f4c1a051714faebcaefcbca7b7be05e9445ea' +
      'a0bb2904153398a25084dd80ae0edcd1c3079fcea2cd3770630ee36f7539207b8ec9d754956d486b71cdf989f0ed6fba6779b63558be0a66e668df14e1603cd2' +
      'af8944844078345286d0b292e772e7190775c51a0f83e40c0b75821027e7e538e111',
  ],
  [
    { key: longKey.subarray(16), associatedData: none, hash: 'sha256', derivedKeySizeBytes: 16, segmentSizeBytes: 64 },
    none,
    '18be78bce0cab6fd38a9041eea8ab0ffc4cf17e3c00b661d3927f5f79069f41a210fedc40b25648c',
  ],
  [
    { key: longKey, associatedData: none, hash: 'sha1', derivedKeySizeBytes: 32, segmentSizeBytes: 128 },
    none,
    '28fae780c70a82d1256c8303a1261ac6a98cf557b4e173967a62f3c149517ba5b2431da93b3c6e90f508b34dc14bfda59bab05681c6ad3fa',
  ],
  [
    { key: longKey, associatedData: bytesOf('00010203'), hash: 'sha1', derivedKeySizeBytes: 32, segmentSizeBytes: 120 },
    textOf('BLOCK 1.BLOCK 2.BLOCK 3.BLOCK 4.BLOCK 5.BLOCK 6.BLOCK 7.BLOCK 8.'),
    '28782994617714a80fa085e15051a16854522330d6d0f26c049b2192f09cdd98b2eb90c753bfff277a29e54fa4afb15d648c28477eb07f012535c767f5fdce24' +
      'ffffae318480c1d37357d6d3c511159318afa09ef38aa3f5456fd7817c5c02dd6e1a7fef174c8bd24e38b5982ac105497c0101ac5581fe5b',
  ],
]

test("the reference opens Tink's vectors", () => {
  for (const [parameters, plaintext, sealed] of vectors) {
    assert.deepEqual(unsealReference(parameters, bytesOf(sealed)), plaintext)
  }
})

test('the reference opens what we seal, with the parameters of AES256_GCM_HKDF_1MB', () => {
  const keyBytes = randomBytes(32)
  using key = Secret.from(Uint8Array.from(keyBytes))
  const associatedData = textOf('any')
  // The last size that fills the first segment, and the first that does not; more than two segments.
  for (const sizeBytes of [0, 1, 1_048_520, 1_048_521, 2_097_080, 2_097_081, 3_000_000]) {
    const plaintext = new Uint8Array(randomBytes(sizeBytes))
    const sealed = seal({ key, associatedData }, plaintext)
    const opened = unsealReference(
      { key: keyBytes, associatedData, hash: 'sha256', derivedKeySizeBytes: 32, segmentSizeBytes: 1_048_576 },
      sealed,
    )
    assert.ok(Buffer.from(opened).equals(plaintext), `${sizeBytes} bytes`)
  }
})
