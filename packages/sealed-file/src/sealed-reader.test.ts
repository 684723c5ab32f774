import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { seal } from './seal.ts'
import { type ReadAt, SealedReader } from './sealed-reader.ts'
import { type Binding, segmentSizeBytes } from './segments.ts'

const binding: Binding = { key: Secret.random(32), associatedData: new TextEncoder().encode('somewhere') }
/** Plaintext of the first segment and of those after it. */
const [first, other] = [segmentSizeBytes - 56, segmentSizeBytes - 16]
const plaintext = randomBytes(first + 2 * other + 5000)
const sealed = seal(binding, plaintext)

interface Read {
  readonly offsetBytes: number
  readonly sizeBytes: number
}

async function open(file: Uint8Array, from: Binding = binding) {
  const reads: Read[] = []
  const readAt: ReadAt = async (offsetBytes, sizeBytes) => {
    reads.push({ offsetBytes, sizeBytes })
    return file.subarray(offsetBytes, offsetBytes + sizeBytes)
  }
  return { reader: await SealedReader.open(from, readAt, file.length), reads }
}

test('any range reads as it was sealed, at segment borders too', async () => {
  const { reader } = await open(sealed)
  using _ = reader
  assert.equal(reader.sizeBytes, plaintext.length)
  const check = async (start: number, size: number) => {
    assert.ok(plaintext.subarray(start, start + size).equals(await reader.read(start, size)), `${size} at ${start}`)
  }
  for (const border of [0, first, first + other, first + 2 * other, plaintext.length]) {
    for (const [before, behind] of [
      [0, 1],
      [1, 0],
      [1, 1],
      [300, 700],
    ] as const) {
      const start = Math.max(0, border - before)
      await check(start, Math.min(plaintext.length, border + behind) - start)
    }
  }
  await check(0, plaintext.length)
  await check(100, 0)
  await check(plaintext.length, 0)
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: plaintext.length }), fc.nat({ max: 100_000 }), async (start, size) =>
      check(start, Math.min(size, plaintext.length - start)),
    ),
    { numRuns: 30 },
  )
})

test('no more is read than the segments that hold a range, and the last of them stays open', async () => {
  const { reader, reads } = await open(sealed)
  using _ = reader
  assert.deepEqual(reads, [
    { offsetBytes: 0, sizeBytes: 40 },
    { offsetBytes: 3 * segmentSizeBytes, sizeBytes: sealed.length - 3 * segmentSizeBytes },
  ])
  reads.length = 0
  await reader.read(first + 10, 100)
  await reader.read(first + 500, 100)
  await reader.read(first - 10, 20)
  assert.deepEqual(reads, [
    { offsetBytes: segmentSizeBytes, sizeBytes: segmentSizeBytes },
    { offsetBytes: 40, sizeBytes: segmentSizeBytes - 40 },
    { offsetBytes: segmentSizeBytes, sizeBytes: segmentSizeBytes },
  ])
})

test('reads at the same time do not get into each other', async () => {
  const { reader } = await open(sealed)
  using _ = reader
  const starts = [0, first, first + other, 17, plaintext.length - 4000, first - 2000, 400_000]
  const found = await Promise.all(starts.map((start) => reader.read(start, 4000)))
  for (const [index, start] of starts.entries()) {
    assert.ok(plaintext.subarray(start, start + 4000).equals(found[index] ?? new Uint8Array()), `${start}`)
  }
})

test('files of every small size, the empty one too, and those that fill a segment', async () => {
  for (const sizeBytes of [0, 1, 15, 16, 17, 100, first - 1, first, first + 1, first + other]) {
    const bytes = plaintext.subarray(0, sizeBytes)
    const { reader } = await open(seal(binding, bytes))
    using _ = reader
    assert.equal(reader.sizeBytes, sizeBytes)
    assert.ok(bytes.equals(await reader.read(0, sizeBytes)))
  }
})

test('a cut anywhere is noticed before the first read', async () => {
  for (const size of [1, 2, 3].map((count) => count * segmentSizeBytes)) {
    await assert.rejects(open(sealed.subarray(0, size)), { name: 'SealedFileError', code: 'not-authentic' }, `${size}`)
  }
  for (const size of [0, 1, 40, 55, segmentSizeBytes + 15]) {
    await assert.rejects(open(sealed.subarray(0, size)), { name: 'SealedFileError', code: 'truncated' }, `${size}`)
  }
  for (const size of [56, segmentSizeBytes + 16, sealed.length - 1]) {
    await assert.rejects(open(sealed.subarray(0, size)), { name: 'SealedFileError', code: 'not-authentic' }, `${size}`)
  }
  await assert.rejects(open(Buffer.concat([sealed, Buffer.alloc(1)])), { code: 'not-authentic' })
  await assert.rejects(open(Buffer.concat([sealed, sealed.subarray(-5016)])), { code: 'not-authentic' })
})

test('a reader of the file that gives less than it should is noticed', async () => {
  const short: ReadAt = async (offset, size) => sealed.subarray(offset, offset + size - 1)
  await assert.rejects(SealedReader.open(binding, short, sealed.length), { code: 'truncated' })
})

test('segments that were swapped or repeated do not open, the others do', async () => {
  const segments = [0, 1, 2, 3].map((index) =>
    sealed.subarray(index * segmentSizeBytes, (index + 1) * segmentSizeBytes),
  )
  const forged = (order: readonly number[]) => Buffer.concat(order.map((index) => segments[index] ?? Buffer.alloc(0)))
  for (const order of [
    [0, 2, 1, 3],
    [0, 1, 1, 3],
    [0, 2, 2, 3],
  ]) {
    const { reader } = await open(forged(order))
    using _ = reader
    for (const index of [1, 2]) {
      const attempt = reader.read(first + (index - 1) * other, 1)
      if (order[index] === index) await attempt
      else await assert.rejects(attempt, { name: 'SealedFileError', code: 'not-authentic' }, `${order}`)
    }
    await reader.read(0, 10)
  }
  for (const order of [
    [0, 1, 3],
    [0, 1, 2, 3, 3],
    [0, 1, 2, 2, 3],
    [1, 2, 3],
    [3, 1, 2, 0],
  ]) {
    await assert.rejects(open(forged(order)), { name: 'SealedFileError' }, `${order}`)
  }
})

test('a changed bit spoils its segment, and in the header the whole file', async () => {
  const flipped = (offset: number) => {
    const changed = Buffer.from(sealed)
    changed.writeUInt8((changed[offset] ?? 0) ^ 0x10, offset)
    return changed
  }
  await assert.rejects(open(flipped(0)), { code: 'bad-header' })
  for (const offset of [1, 32, 33, 39, sealed.length - 1, sealed.length - 17]) {
    await assert.rejects(open(flipped(offset)), { code: 'not-authentic' }, `byte ${offset}`)
  }
  for (const offset of [40, segmentSizeBytes - 1, segmentSizeBytes, 2 * segmentSizeBytes - 16]) {
    const { reader } = await open(flipped(offset))
    using _ = reader
    const start = offset < segmentSizeBytes ? 0 : first
    await assert.rejects(reader.read(start + 100_000, 1), { code: 'not-authentic' }, `byte ${offset}`)
    await reader.read(first + other, 1)
  }
})

test('another key, another place, another size of key are refused at once', async () => {
  using key = Secret.random(32)
  using short = Secret.random(16)
  await assert.rejects(open(sealed, { ...binding, key }), { code: 'not-authentic' })
  await assert.rejects(open(sealed, { ...binding, associatedData: new Uint8Array() }), { code: 'not-authentic' })
  await assert.rejects(open(sealed, { ...binding, key: short }), { code: 'key-size' })
})

test('what the file does not have cannot be read, nor anything after disposal', async () => {
  const { reader } = await open(sealed)
  for (const [start, size] of [
    [-1, 1],
    [0, plaintext.length + 1],
    [plaintext.length, 1],
    [0.5, 1],
    [0, -1],
    [0, 0.5],
    [0, Number.NaN],
    [Number.MAX_SAFE_INTEGER, 1],
  ] as const) {
    await assert.rejects(
      reader.read(start, size),
      { name: 'SealedFileError', code: 'out-of-range' },
      `${size} at ${start}`,
    )
  }
  const pending = reader.read(0, 10)
  reader[Symbol.dispose]()
  await assert.rejects(pending, { code: 'disposed' })
  await assert.rejects(reader.read(0, 1), { code: 'disposed' })
})
