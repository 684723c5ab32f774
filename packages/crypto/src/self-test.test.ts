import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import type { DataUnitCipher, DataUnitSizeBytes, XtsCore } from './data-unit.ts'
import { agree } from './self-test.ts'
import { createXts, fastestCore, firstProven } from './xts.ts'
import { xtsKeyOf } from './xts-key.ts'
import { XtsUnits } from './xts-units.ts'
import { stepSizeBytes } from './xts-workspace.ts'

type Run = DataUnitCipher['encrypt']

/** A cipher that works but for what `faults` change, and tells when it is disposed of. */
function faulty(
  key: Secret,
  unitSizeBytes: DataUnitSizeBytes,
  faults: { encrypt?: (run: Run) => Run; decrypt?: (run: Run) => Run },
) {
  const cipher = createXts(key, { unitSizeBytes })
  const encrypt: Run = (...parameters) => cipher.encrypt(...parameters)
  const decrypt: Run = (...parameters) => cipher.decrypt(...parameters)
  const state = { disposed: false }
  const wrapped: DataUnitCipher = {
    unitSizeBytes,
    core: cipher.core,
    encrypt: faults.encrypt?.(encrypt) ?? encrypt,
    decrypt: faults.decrypt?.(decrypt) ?? decrypt,
    [Symbol.dispose]: () => {
      state.disposed = true
      cipher[Symbol.dispose]()
    },
  }
  return { cipher: wrapped, state }
}

/** Flips one bit of the result at `offset` where there is such a byte and the call has at least `sizeMin` bytes. */
const flip =
  (offset: number, sizeMin = 0) =>
  (run: Run): Run =>
  (bytes, sector, target = bytes) => {
    run(bytes, sector, target)
    const byte = target[offset]
    if (byte !== undefined && target.length >= sizeMin) target[offset] = byte ^ 1
  }

const shifted =
  (run: Run): Run =>
  (bytes, sector, target) =>
    run(bytes, sector + 8, target)

const failing = (): Run => () => {
  throw new Error('no')
}

for (const unitSizeBytes of [512, 1024, 2048, 4096] as const) {
  const faults = {
    'a wrong bit in the first unit': { encrypt: flip(7) },
    'a wrong bit in the first unit of the second step': { encrypt: flip(stepSizeBytes + 1) },
    'a wrong bit deep inside, of long runs only': { encrypt: flip(stepSizeBytes / 2 + 3, stepSizeBytes) },
    'a wrong bit in decryption': { decrypt: flip(unitSizeBytes * 5 + 1) },
    'a wrong bit in decryption, of long runs only': { decrypt: flip(stepSizeBytes / 2 + 3, stepSizeBytes) },
    'wrong tweaks in both directions': { encrypt: shifted, decrypt: shifted },
    'nothing done': { encrypt: () => () => {}, decrypt: () => () => {} },
    'an error': { decrypt: failing },
  }
  for (const [name, fault] of Object.entries(faults)) {
    test(`a cipher with ${name} is found out, and the next one does the work, units of ${unitSizeBytes}`, () => {
      using key = Secret.random(64)
      const reference = new XtsUnits(xtsKeyOf(key), unitSizeBytes)
      const bad = faulty(key, unitSizeBytes, fault)
      const good = faulty(key, unitSizeBytes, {})
      using chosen = firstProven([() => bad.cipher, () => good.cipher], reference)
      assert.equal(chosen, good.cipher)
      assert.ok(bad.state.disposed)
      assert.ok(!good.state.disposed)
      assert.throws(() => reference.encrypt(new Uint8Array(unitSizeBytes), 0), { code: 'disposed' })
    })
  }

  test(`where none is any good, OpenSSL does it unit by unit, units of ${unitSizeBytes}`, () => {
    using key = Secret.random(64)
    using reference = new XtsUnits(xtsKeyOf(key), unitSizeBytes)
    const bad = faulty(key, unitSizeBytes, { encrypt: flip(0) })
    const unavailable = () => {
      throw new Error('no such cipher')
    }
    assert.equal(firstProven([unavailable, () => bad.cipher], reference), reference)
    assert.ok(bad.state.disposed)
    reference.encrypt(new Uint8Array(unitSizeBytes), 0)
  })
}

test('each core is the one that was asked for, and agrees with the reference', () => {
  for (const core of ['xts', 'ecb', 'units'] satisfies XtsCore[]) {
    for (const unitSizeBytes of [512, 1024, 2048, 4096] as const) {
      using key = Secret.random(64)
      using cipher = createXts(key, { core, unitSizeBytes })
      using reference = new XtsUnits(xtsKeyOf(key), unitSizeBytes)
      assert.equal(cipher.core, core)
      assert.ok(agree(cipher, reference))
    }
  }
})

test('the core follows from the version of OpenSSL', () => {
  assert.deepEqual(
    ['3.5.8', '3.10.0', '4.0.0', '3.0.19', '3.4.9', '1.1.1', '', undefined].map((version) => fastestCore(version)),
    ['xts', 'xts', 'xts', 'ecb', 'ecb', 'ecb', 'ecb', 'ecb'],
  )
})
