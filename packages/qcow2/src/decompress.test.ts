import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { decompress } from './decompress.ts'
import { Qcow2Error } from './qcow2-error.ts'
import { zstdFrameSizeBytes } from './zstd-frame.ts'

const clusterSizeBytes = 65_536
const cluster = Buffer.concat([
  randomBytes(20_000),
  Buffer.alloc(30_000, 7),
  Buffer.from('text '.repeat(3200)),
]).subarray(0, clusterSizeBytes)
const pack = { zlib: (plain: Uint8Array) => deflateRawSync(plain, { windowBits: 12 }), zstd: zstdCompressSync }

for (const method of ['zlib', 'zstd'] as const) {
  test(`a cluster is unpacked whatever follows it: ${method}`, () => {
    const packed = pack[method](cluster)
    for (const rest of [Buffer.alloc(0), Buffer.alloc(300), randomBytes(511), packed]) {
      assert.ok(decompress(method, Buffer.concat([packed, rest]), clusterSizeBytes).equals(cluster))
    }
  })

  test(`a cluster of another size, or a part of one, is refused: ${method}`, () => {
    for (const [name, packed] of [
      ['a byte less', pack[method](cluster.subarray(1))],
      ['a byte more', pack[method](Buffer.concat([cluster, Buffer.alloc(1)]))],
      ['far more', pack[method](Buffer.alloc(64 * 1_048_576))],
      ['nothing', Buffer.alloc(0)],
      ['cut', pack[method](cluster).subarray(0, -20)],
    ] as const) {
      assert.throws(
        () => decompress(method, packed, clusterSizeBytes),
        { name: 'Qcow2Error', code: 'bad-compressed-cluster' },
        name,
      )
    }
  })

  test(`no bytes do anything but unpack or be refused: ${method}`, () => {
    const packed = pack[method](cluster)
    fc.assert(
      fc.property(fc.nat({ max: 200 }), fc.uint8Array({ minLength: 1, maxLength: 6 }), (at, bytes) => {
        const changed = Buffer.from(packed)
        changed.set(bytes, at)
        try {
          assert.equal(decompress(method, changed, clusterSizeBytes).length, clusterSizeBytes)
        } catch (error) {
          assert.ok(error instanceof Qcow2Error, `${error}`)
        }
      }),
    )
  })
}

test('the end of a Zstandard frame is found in all its forms', () => {
  const plains = [Buffer.alloc(0), Buffer.alloc(100), cluster, Buffer.alloc(2 ** 20, 5), randomBytes(300_000)]
  for (const plain of plains) {
    for (const checksum of [0, 1]) {
      for (const contentSize of [0, 1]) {
        const frame = zstdCompressSync(plain, {
          params: { [constants.ZSTD_c_checksumFlag]: checksum, [constants.ZSTD_c_contentSizeFlag]: contentSize },
        })
        const name = `${plain.length} bytes, checksum ${checksum}, content size ${contentSize}`
        assert.equal(zstdFrameSizeBytes(Buffer.concat([frame, randomBytes(600)])), frame.length, name)
        assert.equal(zstdFrameSizeBytes(frame), frame.length, name)
        assert.equal(zstdFrameSizeBytes(frame.subarray(0, -1)), null, name)
      }
    }
  }
  assert.equal(zstdFrameSizeBytes(randomBytes(600).fill(0, 0, 4)), null)
})

test('a frame that wants more memory than it may is refused', () => {
  const frame = zstdCompressSync(cluster, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } })
  assert.ok(decompress('zstd', frame, clusterSizeBytes).equals(cluster))
  // RFC 8878, 3.1.1.1.2: the exponent is in the upper five bits, so that this window has 128 MiB.
  frame[5] = 17 << 3
  assert.throws(() => decompress('zstd', frame, clusterSizeBytes), { code: 'bad-compressed-cluster' })
})
