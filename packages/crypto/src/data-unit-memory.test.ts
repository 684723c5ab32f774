import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { bufferCountMax, DataUnitMemory } from './data-unit-memory.ts'
import { createXts } from './xts.ts'
import { xtsKeyOf } from './xts-key.ts'
import { XtsUnits } from './xts-units.ts'
import { spanSizeBytes, workspaceSizeBytes } from './xts-workspace.ts'

function threeBuffers({ buffers }: DataUnitMemory): [Buffer, Buffer, Buffer] {
  const [one, two, three] = buffers
  assert.ok(one && two && three)
  return [one, two, three]
}

const cores = ['xts', 'ecb'] as const
const kernels = ['simd', 'plain'] as const

test('ciphers work in its buffers as elsewhere, and touch nothing else there', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...cores),
      fc.constantFrom(...kernels),
      fc.constantFrom(...([512, 1024, 2048, 4096] as const)),
      fc.nat({ max: 300 }),
      fc.nat({ max: 300 }),
      fc.constantFrom(0, 1, 16, 512),
      (core, kernel, unitSizeBytes, unitCount, firstUnit, shift) => {
        using key = Secret.random(64)
        const sizeBytes = Math.min(unitCount * unitSizeBytes, spanSizeBytes + 3 * unitSizeBytes)
        using memory = new DataUnitMemory({ sizeBytes: sizeBytes + 1024, count: 3, kernel })
        using cipher = createXts(key, { core, unitSizeBytes, memory })
        using units = new XtsUnits(xtsKeyOf(key), unitSizeBytes)
        const [one, two, three] = threeBuffers(memory)
        const before = randomBytes(one.length)
        for (const buffer of [one, two, three]) buffer.set(before)
        const sector = (firstUnit * unitSizeBytes) / 512
        const expected = Buffer.from(before)
        units.encrypt(expected.subarray(shift, shift + sizeBytes), sector)

        cipher.encrypt(one.subarray(shift, shift + sizeBytes), sector)
        assert.ok(one.equals(expected))
        cipher.encrypt(two.subarray(shift, shift + sizeBytes), sector, three.subarray(shift, shift + sizeBytes))
        assert.ok(two.equals(before))
        assert.ok(three.equals(expected))
        const outside = Buffer.alloc(sizeBytes)
        cipher.decrypt(one.subarray(shift, shift + sizeBytes), sector, outside)
        assert.ok(one.equals(expected))
        assert.ok(outside.equals(before.subarray(shift, shift + sizeBytes)))
        cipher.encrypt(outside, sector, two.subarray(shift, shift + sizeBytes))
        assert.ok(two.equals(expected))
      },
    ),
    { numRuns: 60 },
  )
})

test('two keys share a memory: what one decrypts, the other encrypts in place', () => {
  using oldKey = Secret.random(64)
  using newKey = Secret.random(64)
  using memory = new DataUnitMemory({ sizeBytes: 200_704, count: 3 })
  using oldCipher = createXts(oldKey, { memory })
  using newCipher = createXts(newKey, { memory, unitSizeBytes: 4096 })
  using oldUnits = new XtsUnits(xtsKeyOf(oldKey), 512)
  using newUnits = new XtsUnits(xtsKeyOf(newKey), 4096)
  const [buffer] = threeBuffers(memory)
  const plaintext = randomBytes(buffer.length)
  oldUnits.encrypt(plaintext, 8, buffer)
  oldCipher.decrypt(buffer, 8)
  newCipher.encrypt(buffer, 8)
  newUnits.decrypt(buffer, 8)
  assert.ok(buffer.equals(plaintext))
})

test('buffers begin at whole pages and do not overlap', () => {
  for (const sizeBytes of [1, 512, 4096, 4097, 1_048_576]) {
    using memory = new DataUnitMemory({ sizeBytes, count: 3 })
    const starts = memory.buffers.map((buffer) => buffer.byteOffset)
    assert.deepEqual(
      memory.buffers.map((buffer) => buffer.length),
      [sizeBytes, sizeBytes, sizeBytes],
    )
    assert.ok(starts.every((start) => start % 4096 === 0 && start >= workspaceSizeBytes))
    for (const [index, start] of starts.entries())
      if (index > 0) assert.ok(start - (starts[index - 1] ?? 0) >= sizeBytes)
  }
})

test('impossible sizes are refused', () => {
  for (const sizeBytes of [-1, 0.5, Number.NaN, 64 * 1_048_576 + 1])
    assert.throws(() => new DataUnitMemory({ sizeBytes }), { code: 'data-size' })
  for (const count of [-1, 0.5, bufferCountMax + 1])
    assert.throws(() => new DataUnitMemory({ count }), { code: 'data-size' })
  assert.throws(() => new DataUnitMemory({ sizeBytes: 64 * 1_048_576, count: 64 }), { code: 'data-size' })
})

test('a cipher that is disposed of wipes what it worked with; the buffers stay', () => {
  for (const core of cores) {
    using key = Secret.random(64)
    using memory = new DataUnitMemory({ sizeBytes: 65_536, count: 3 })
    const [buffer] = threeBuffers(memory)
    const cipher = createXts(key, { core, memory })
    cipher.encrypt(buffer, 0)
    cipher.encrypt(new Uint8Array(65_536).fill(1), 0)
    const scratch = Buffer.from(buffer.buffer, 4096, workspaceSizeBytes - 4096)
    assert.ok(scratch.some((byte) => byte !== 0))
    cipher[Symbol.dispose]()
    assert.ok(scratch.every((byte) => byte === 0))
    assert.ok(buffer.some((byte) => byte !== 0))
  }
})

test('a memory that is disposed of is wiped, and of no use to its ciphers', () => {
  using key = Secret.random(64)
  const memory = new DataUnitMemory({ sizeBytes: 65_536, count: 3 })
  using cipher = createXts(key, { memory })
  const [one, two] = threeBuffers(memory)
  for (const buffer of [one, two]) cipher.encrypt(buffer, 0)
  memory[Symbol.dispose]()
  for (const buffer of [one, two]) assert.ok(buffer.every((byte) => byte === 0))
  assert.throws(() => cipher.encrypt(one, 0), { code: 'disposed' })
  assert.throws(() => createXts(key, { memory }), { code: 'disposed' })
})
