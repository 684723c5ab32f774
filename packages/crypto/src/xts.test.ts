import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { type DataUnitCipher, dataUnitSizeBytes, dataUnitsSizeMax } from './data-unit.ts'
import { createXts, prove } from './xts.ts'
import { XtsBatch } from './xts-batch.ts'
import { XtsUnits } from './xts-units.ts'

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
]

const ciphers: readonly (readonly [string, (key: Secret) => DataUnitCipher])[] = [
  ['XtsUnits', (key) => new XtsUnits(key)],
  ['XtsBatch', (key) => new XtsBatch(key)],
  ['createXts', createXts],
]

for (const [name, create] of ciphers) {
  test(`${name} passes the vectors of IEEE 1619`, () => {
    for (const vector of vectors) {
      using key = secretOf(vector.key)
      using cipher = create(key)
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
    using cipher = create(key)
    const source = Uint8Array.from(counting)
    const target = new Uint8Array(source.length)
    cipher.encrypt(source, 1, target)
    assert.deepEqual(source, counting)
    assert.notDeepEqual(target, counting)
  })

  test(`${name} refuses what are not data units, and impossible sectors`, () => {
    using key = Secret.random(64)
    using cipher = create(key)
    for (const sizeBytes of [1, 511, 513, dataUnitsSizeMax + 512]) {
      assert.throws(() => cipher.encrypt(new Uint8Array(sizeBytes), 0), { code: 'data-size' })
    }
    assert.throws(() => cipher.decrypt(new Uint8Array(512), 0, new Uint8Array(1024)), { code: 'data-size' })
    for (const sector of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER]) {
      assert.throws(() => cipher.encrypt(new Uint8Array(512), sector), { code: 'sector-range' })
    }
    cipher.encrypt(new Uint8Array(0), 0)
  })

  test(`${name} refuses keys that are none for XTS`, () => {
    for (const sizeBytes of [16, 31, 33, 48, 63, 65]) {
      using key = Secret.random(sizeBytes)
      assert.throws(() => create(key), { code: 'key-size' })
    }
    using equalHalves = secretOf('ab'.repeat(64))
    assert.throws(() => create(equalHalves), { code: 'weak-key' })
  })
}

test('batch and units agree over batch borders, key sizes, odd addresses and sectors beyond 32 bits', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(32, 64),
      fc.constantFrom(1, 2, 3, 63, 64, 65, 257),
      fc.constantFrom(0, 1, 3),
      fc.oneof(
        fc.nat(),
        fc.integer({ min: 0xffff_ff00, max: 0x1_0000_0100 }),
        fc.maxSafeNat().map((n) => Math.floor(n / 2)),
      ),
      (keySizeBytes, unitCount, shift, sector) => {
        using key = Secret.random(keySizeBytes)
        using batch = new XtsBatch(key)
        using units = new XtsUnits(key)
        const plaintext = randomBytes(unitCount * dataUnitSizeBytes + shift).subarray(shift)
        const found = new Uint8Array(plaintext.length + shift).subarray(shift)
        const expected = new Uint8Array(plaintext.length)
        batch.encrypt(plaintext, sector, found)
        units.encrypt(plaintext, sector, expected)
        assert.ok(Buffer.from(expected).equals(found))
        batch.decrypt(found, sector)
        assert.ok(plaintext.equals(found))
      },
    ),
    { numRuns: 40 },
  )
})

test('a cipher that was disposed of is of no use', () => {
  using key = Secret.random(64)
  for (const [name, create] of ciphers) {
    const cipher = create(key)
    cipher[Symbol.dispose]()
    assert.throws(() => cipher.encrypt(new Uint8Array(512), 0), /disposed|wiped/, name)
  }
})

test('each data unit depends on its own sector only', () => {
  using key = Secret.random(64)
  using cipher = createXts(key)
  const three = new Uint8Array(3 * dataUnitSizeBytes)
  cipher.encrypt(three, 7)
  const second = new Uint8Array(dataUnitSizeBytes)
  cipher.encrypt(second, 8)
  assert.deepEqual(three.subarray(dataUnitSizeBytes, 2 * dataUnitSizeBytes), second)
})

test('a cipher that does not agree with the reference is not used', () => {
  using key = Secret.random(64)
  for (const fault of ['encrypt', 'decrypt'] as const) {
    using reference = new XtsUnits(key)
    const batch = new XtsBatch(key)
    let disposed = false
    const faulty: DataUnitCipher = {
      encrypt: (bytes, sector, target) => batch.encrypt(bytes, sector + Number(fault === 'encrypt'), target),
      decrypt: (bytes, sector, target) => batch.decrypt(bytes, sector + Number(fault === 'decrypt'), target),
      [Symbol.dispose]: () => {
        disposed = true
      },
    }
    assert.equal(prove(faulty, reference), reference)
    assert.ok(disposed)
    assert.equal(prove(batch, new XtsUnits(key)), batch)
  }
})
