import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { associatedDataOf, homeKeyOf } from './binding.ts'
import { Sealer, seal, sealStream } from './seal.ts'
import { type Binding, segmentSizeBytes } from './segments.ts'
import { Unsealer, unseal, unsealStream } from './unseal.ts'

const vmId = '018f2f6a-0000-7000-8000-000000000002'
const dek = Secret.random(32)
const key = homeKeyOf(dek)
const binding: Binding = { key, associatedData: associatedDataOf(vmId, 'config.json') }
/** Two full segments and a bit, so that the first, a middle and the last one can be told apart. */
const plaintext = randomBytes(2 * segmentSizeBytes + 5000)
const sealed = seal(binding, plaintext)

async function* chunksOf(bytes: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += sizeBytes) yield bytes.subarray(offset, offset + sizeBytes)
}

async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks))
}

test('what is sealed opens again, whatever the chunks', async () => {
  assert.ok(plaintext.equals(unseal(binding, sealed)))
  for (const sizeBytes of [1000, 65_536, segmentSizeBytes, 3 * segmentSizeBytes]) {
    const streamed = await joined(sealStream(binding, chunksOf(plaintext, sizeBytes)))
    assert.equal(streamed.length, sealed.length)
    assert.ok(plaintext.equals(await joined(unsealStream(binding, chunksOf(streamed, sizeBytes + 7)))))
  }
})

test('small files of any content, byte by byte too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const small = seal(binding, bytes)
      const unsealer = new Unsealer(binding)
      const opened = [...small].flatMap((byte) => unsealer.push(Uint8Array.of(byte)))
      assert.deepEqual(Uint8Array.from(Buffer.concat([...opened, ...unsealer.finish()])), bytes)
    }),
    { numRuns: 30 },
  )
})

test('sealing twice shares nothing', () => {
  const [one, other] = [seal(binding, plaintext), seal(binding, plaintext)]
  for (const [start, end] of [
    [1, 33],
    [33, 40],
    [40, 72],
  ] as const) {
    assert.ok(!Buffer.from(one.subarray(start, end)).equals(other.subarray(start, end)))
  }
})

test('no bit can change', () => {
  const small = seal(binding, randomBytes(40))
  fc.assert(
    fc.property(fc.nat({ max: small.length * 8 - 1 }), (bit) => {
      const changed = Uint8Array.from(small)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => unseal(binding, changed), {
        name: 'SealedFileError',
        code: bit < 8 ? 'bad-header' : 'not-authentic',
      })
    }),
  )
})

test('a cut anywhere is noticed, at a segment border too', () => {
  for (const sizeBytes of [0, 39, 40, 55]) {
    assert.throws(() => unseal(binding, sealed.subarray(0, sizeBytes)), { code: 'truncated' }, `${sizeBytes} bytes`)
  }
  for (const sizeBytes of [56, segmentSizeBytes, 2 * segmentSizeBytes, sealed.length - 1]) {
    assert.throws(() => unseal(binding, sealed.subarray(0, sizeBytes)), { code: 'not-authentic' }, `${sizeBytes} bytes`)
  }
})

test('segments cannot be swapped, repeated, left out or added', () => {
  const segments = [0, 1, 2].map((index) => sealed.subarray(index * segmentSizeBytes, (index + 1) * segmentSizeBytes))
  for (const order of [
    [0, 2, 1],
    [0, 1, 1, 2],
    [0, 2],
    [0, 1, 2, 2],
    [1, 2],
  ]) {
    const forged = Buffer.concat(order.map((index) => segments[index] ?? Buffer.alloc(0)))
    assert.throws(() => unseal(binding, forged), { name: 'SealedFileError' }, `${order}`)
  }
  assert.throws(() => unseal(binding, Buffer.concat([sealed, Buffer.alloc(1)])), { code: 'not-authentic' })
})

test('a file opens at its own place, for its own VM, under its own key only', () => {
  const small = seal(binding, randomBytes(40))
  using otherDek = Secret.random(32)
  using otherKey = homeKeyOf(otherDek)
  const others: readonly Binding[] = [
    { ...binding, associatedData: associatedDataOf(vmId, 'config.json.old') },
    { ...binding, associatedData: associatedDataOf('018f2f6a-0000-7000-8000-000000000003', 'config.json') },
    { ...binding, associatedData: new Uint8Array() },
    { ...binding, key: otherKey },
    { ...binding, key: dek },
  ]
  for (const other of others) assert.throws(() => unseal(other, small), { code: 'not-authentic' })
})

test('nothing comes out of a segment before it is authentic', () => {
  const changed = Uint8Array.from(sealed)
  changed[segmentSizeBytes + 100] = (changed[segmentSizeBytes + 100] ?? 0) ^ 1
  const unsealer = new Unsealer(binding)
  const [first, ...rest] = unsealer.push(changed.subarray(0, segmentSizeBytes + 200))
  assert.ok(first !== undefined && plaintext.subarray(0, first.length).equals(first))
  assert.deepEqual(rest, [])
  assert.throws(() => unsealer.push(changed.subarray(segmentSizeBytes + 200)), { code: 'not-authentic' })
})

test('places are named one way only', () => {
  assert.equal(Buffer.from(associatedDataOf(vmId, 'nvram/vars.fd')).toString(), `${vmId}/nvram/vars.fd`)
  for (const path of ['', '/', '/etc/passwd', 'a//b', 'a/', './a', '../a', 'a/../b', 'a\0b', 'x'.repeat(1024)]) {
    assert.throws(() => associatedDataOf(vmId, path), { code: 'bad-path' }, path)
  }
  for (const id of ['', vmId.toUpperCase(), `${vmId}/`, 'vm']) {
    assert.throws(() => associatedDataOf(id, 'a'), { code: 'bad-path' }, id)
  }
})

test('keys of another size, and use after the end, are refused', () => {
  using short = Secret.random(16)
  assert.throws(() => new Sealer({ ...binding, key: short }), { code: 'key-size' })
  const sealer = new Sealer(binding)
  const parts = sealer.finish()
  assert.throws(() => sealer.push(Uint8Array.of(1)), { code: 'finished' })
  assert.throws(() => sealer.finish(), { code: 'finished' })
  const unsealer = new Unsealer(binding)
  for (const part of parts) unsealer.push(part)
  assert.deepEqual(Buffer.concat(unsealer.finish()).length, 0)
  assert.throws(() => unsealer.push(Uint8Array.of(1)), { code: 'finished' })
})

test('what is opened is not left in memory that everybody shares', () => {
  const bytes = randomBytes(100)
  const opened = unseal(binding, seal(binding, bytes))
  assert.ok(bytes.equals(opened))
  assert.equal(opened.buffer.byteLength, bytes.length)
  const shared = Buffer.from(Buffer.allocUnsafe(1).buffer)
  assert.ok(!shared.includes(bytes))
})
