import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { type DataUnitCipher, type DataUnitSizeBytes, dataUnitSizeBytes, dataUnitsSizeMax } from './data-unit.ts'
import { DataUnitMemory } from './data-unit-memory.ts'
import { createXts } from './xts.ts'
import { XtsBatch } from './xts-batch.ts'
import type { XtsKernelName } from './xts-kernel.ts'
import { xtsKeyOf } from './xts-key.ts'
import { XtsUnits } from './xts-units.ts'
import { stepSizeBytes } from './xts-workspace.ts'

const secretOf = (hex: string) => Secret.from(new Uint8Array(Buffer.from(hex, 'hex')))
const counting = Uint8Array.from({ length: dataUnitSizeBytes }, (_, index) => index & 0xff)

const key256 =
  '27182818284590452353602874713526624977572470936999595749669676273141592653589793238462643383279502884197169399375105820974944592'
const key128 = '2718281828459045235360287471352631415926535897932384626433832795'

/** IEEE 1619-2007, annex B: all have the plaintext 00 01 … ff 00 01 … ff. Long ciphertexts are given by their beginning. */
const vectors = [
  {
    name: 'vector 4',
    key: key128,
    sector: 0,
    ciphertext: '27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c',
  },
  {
    name: 'vector 10',
    key: key256,
    sector: 0xff,
    ciphertext:
      '1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd' +
      '5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca' +
      '2a3e7a7d7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3d0b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f' +
      '93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a' +
      '84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae' +
      '9be69a2ffeceb1bec9de244fbe15992b11b77c040f12bd8f6a975a44a0f90c29a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac' +
      '6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed5376441a77ed4385' +
      '1ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151',
  },
  {
    name: 'vector 11',
    key: key256,
    sector: 0xffff,
    ciphertext: '77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11',
  },
  {
    name: 'vector 12',
    key: key256,
    sector: 0xff_ffff,
    ciphertext: 'e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200',
  },
  {
    name: 'vector 13',
    key: key256,
    sector: 0xffff_ffff,
    ciphertext: 'bf53d2dade78e822a4d949a9bc6766b01b06a8ef70d26748c6a7fc36d80ae4c5',
  },
  {
    name: 'vector 14',
    key: key256,
    sector: 0xff_ffff_ffff,
    ciphertext: '64497e5a831e4a932c09be3e5393376daa599548b816031d224bbf50a818ed23',
  },
]

interface Variant {
  readonly name: string
  readonly create: (key: Secret, unitSizeBytes: DataUnitSizeBytes) => DataUnitCipher
}

const batch = (core: 'xts' | 'ecb', kernel: XtsKernelName): Variant => ({
  name: `${core} with the ${kernel} kernel`,
  create: (key, unitSizeBytes) => {
    const { workspace } = new DataUnitMemory({ count: 0, kernel })
    return new XtsBatch(xtsKeyOf(key), { unitSizeBytes, core, workspace })
  },
})

const batches = [batch('xts', 'simd'), batch('xts', 'plain'), batch('ecb', 'simd'), batch('ecb', 'plain')]

const variants: readonly Variant[] = [
  ...batches,
  { name: 'units', create: (key, unitSizeBytes) => new XtsUnits(xtsKeyOf(key), unitSizeBytes) },
  { name: 'createXts', create: (key, unitSizeBytes) => createXts(key, { unitSizeBytes }) },
]

const unitSizes = [512, 1024, 2048, 4096] as const

for (const { name, create } of variants) {
  test(`${name} passes the vectors of IEEE 1619`, () => {
    for (const vector of vectors) {
      using key = secretOf(vector.key)
      using cipher = create(key, 512)
      const bytes = Uint8Array.from(counting)
      cipher.encrypt(bytes, vector.sector)
      const found = Buffer.from(bytes).toString('hex')
      assert.equal(found.slice(0, vector.ciphertext.length), vector.ciphertext, vector.name)
      cipher.decrypt(bytes, vector.sector)
      assert.deepEqual(bytes, counting, vector.name)
    }
  })

  test(`${name} leaves the source alone when there is a target`, () => {
    using key = Secret.random(64)
    using cipher = create(key, 512)
    const source = Uint8Array.from(counting)
    const target = new Uint8Array(source.length)
    cipher.encrypt(source, 1, target)
    assert.deepEqual(source, counting)
    assert.notDeepEqual(target, counting)
  })

  test(`${name} refuses what are not data units, impossible sectors and targets that overlap`, () => {
    for (const unitSizeBytes of unitSizes) {
      using key = Secret.random(64)
      using cipher = create(key, unitSizeBytes)
      assert.equal(cipher.unitSizeBytes, unitSizeBytes)
      for (const sizeBytes of [1, unitSizeBytes - 1, unitSizeBytes + 1, dataUnitsSizeMax + unitSizeBytes]) {
        assert.throws(() => cipher.encrypt(new Uint8Array(sizeBytes), 0), { code: 'data-size' })
      }
      const bytes = new Uint8Array(unitSizeBytes * 3)
      assert.throws(() => cipher.decrypt(bytes, 0, new Uint8Array(unitSizeBytes)), { code: 'data-size' })
      for (const sector of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER]) {
        assert.throws(() => cipher.encrypt(bytes, sector), { code: 'sector-range' })
      }
      const [first, second] = [bytes.subarray(0, -unitSizeBytes), bytes.subarray(unitSizeBytes)]
      assert.throws(() => cipher.encrypt(first, 0, second), { code: 'overlap' })
      assert.throws(() => cipher.encrypt(second, 0, first), { code: 'overlap' })
      assert.ok(bytes.every((byte) => byte === 0))
      cipher.encrypt(new Uint8Array(0), 0)
    }
  })

  test(`${name} refuses keys that are none for XTS`, () => {
    for (const sizeBytes of [16, 31, 33, 48, 63, 65]) {
      using key = Secret.random(sizeBytes)
      assert.throws(() => create(key, 512), { code: 'key-size' })
    }
    using equalHalves = secretOf('ab'.repeat(64))
    assert.throws(() => create(equalHalves, 512), { code: 'weak-key' })
  })

  test(`${name} is of no use once it was disposed of`, () => {
    using key = Secret.random(64)
    const cipher = create(key, 512)
    cipher[Symbol.dispose]()
    cipher[Symbol.dispose]()
    assert.throws(() => cipher.encrypt(new Uint8Array(512), 0), { code: 'disposed' })
  })
}

const sectors = fc.oneof(
  fc.nat(),
  fc.integer({ min: 0xffff_ff00, max: 0x1_0000_0100 }),
  fc.maxSafeNat().map((n) => Math.floor(n / 2)),
)

for (const { name, create } of batches) {
  test(`${name} does what units do: any size, key, address, and sectors beyond 32 bits`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(32, 64),
        fc.constantFrom(...unitSizes),
        fc.oneof(
          fc.integer({ min: 512, max: 3 * 4096 }),
          fc.integer({ min: 30_000, max: 34_000 }),
          fc.integer({ min: stepSizeBytes - 8192, max: stepSizeBytes + 8192 }),
          fc.integer({ min: 2 * stepSizeBytes, max: 3 * stepSizeBytes }),
        ),
        fc.constantFrom(0, 1, 3),
        sectors,
        (keySizeBytes, unitSizeBytes, approximateSizeBytes, shift, sector) => {
          const sizeBytes = Math.ceil(approximateSizeBytes / unitSizeBytes) * unitSizeBytes
          using key = Secret.random(keySizeBytes)
          using cipher = create(key, unitSizeBytes)
          using units = new XtsUnits(xtsKeyOf(key), unitSizeBytes)
          const plaintext = randomBytes(sizeBytes + shift).subarray(shift)
          const found = new Uint8Array(sizeBytes + shift).subarray(shift)
          const expected = new Uint8Array(sizeBytes)
          cipher.encrypt(plaintext, sector, found)
          units.encrypt(plaintext, sector, expected)
          assert.ok(Buffer.from(expected).equals(found))
          cipher.decrypt(found, sector)
          assert.ok(plaintext.equals(found))
          units.decrypt(expected, sector)
          assert.ok(plaintext.equals(expected))
        },
      ),
      { numRuns: 40 },
    )
  })
}

test('each data unit depends on its own sector only', () => {
  using key = Secret.random(64)
  using cipher = createXts(key)
  const three = new Uint8Array(3 * dataUnitSizeBytes)
  cipher.encrypt(three, 7)
  const second = new Uint8Array(dataUnitSizeBytes)
  cipher.encrypt(second, 8)
  assert.deepEqual(three.subarray(dataUnitSizeBytes, 2 * dataUnitSizeBytes), second)
})

test('other sizes of units are refused', () => {
  using key = Secret.random(64)
  for (const size of [0, 16, 256, 513, 8192, Number.NaN]) {
    // A size as a header that was not checked would have it.
    const unitSizeBytes = size as DataUnitSizeBytes
    assert.throws(() => createXts(key, { unitSizeBytes }), { code: 'data-size' })
  }
})

test('units of 4096 bytes are encrypted as one, under the number of their first sector of 512 bytes', () => {
  using key = Secret.random(64)
  using large = createXts(key, { unitSizeBytes: 4096 })
  using small = createXts(key)
  const units = new Uint8Array(2 * 4096)
  large.encrypt(units, 16)
  const sectors = new Uint8Array(2 * 4096)
  small.encrypt(sectors, 16)
  for (const start of [0, 4096]) {
    assert.deepEqual(units.subarray(start, start + 512), sectors.subarray(start, start + 512))
    assert.notDeepEqual(units.subarray(start + 512, start + 1024), sectors.subarray(start + 512, start + 1024))
  }
})
