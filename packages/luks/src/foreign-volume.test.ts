import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { createHeader } from './create-header.ts'
import { inspectForeign, openForeign } from './foreign-volume.ts'
import { LuksError } from './luks-error.ts'
import type { ReadAt } from './read-at.ts'
import { luks1Faults } from './testing/luks1-damages.ts'
import { luks2Faults, luks2RepairableFaults } from './testing/luks2-damages.ts'
import { luks2PayloadOffsetBytes, luks2Uuid, luks2Volume, reseal } from './testing/luks2-volume.ts'

const volumeKey = Secret.random(64)
const passphrase = Secret.from(new TextEncoder().encode('a passphrase that somebody chose'))
const valid = await luks2Volume(volumeKey, passphrase)

const readerOf =
  (volume: Uint8Array): ReadAt =>
  async (offsetBytes, sizeBytes) =>
    volume.subarray(offsetBytes, offsetBytes + sizeBytes)

async function open(volume: Uint8Array, limits?: Parameters<typeof openForeign>[3]) {
  return await openForeign(readerOf(volume), volume.length, passphrase, limits)
}

test('a LUKS2 volume says what it was made from, and opens', async () => {
  const { volumeKey: found, ...volume } = await open(valid)
  using _ = found
  assert.ok(found.equal(volumeKey))
  assert.deepEqual(volume, {
    version: 2,
    uuid: luks2Uuid,
    cipher: 'aes-xts-plain64',
    unitSizeBytes: 512,
    payloadOffsetBytes: luks2PayloadOffsetBytes,
    payloadSizeBytes: 8192,
    ivTweak: 0,
    warnings: [],
    adoptionRefusal: 'QEMU does not open LUKS2',
  })
})

/** What is wrong with a volume of ours, and yet can be imported, or is wrong for another reason. */
const otherForImport: Readonly<Record<string, string | null>> = {
  'plain instead of plain64': null,
  'payload beyond the limit': 'truncated',
  'version 2': 'bad-field',
}
const ownPassphrase = Secret.random(64)
const luks1 = Buffer.concat([
  await createHeader({ volumeKey, passphrase: ownPassphrase, uuid: luks2Uuid }),
  Buffer.alloc(4096),
])

for (const [name, [ownCode, damage]] of Object.entries(luks1Faults)) {
  const code = name in otherForImport ? otherForImport[name] : ownCode
  test(`a LUKS1 volume with a fault in one thing, ${name}, ${code === null ? 'is imported' : `is refused as ${code}`}`, async () => {
    const volume = Buffer.from(luks1)
    const damaged = damage(volume) ?? volume
    const opened = openForeign(readerOf(damaged), damaged.length, ownPassphrase)
    if (code !== null) return await assert.rejects(opened, { name: 'LuksError', code })
    using found = (await opened).volumeKey
    assert.ok(found.equal(volumeKey))
  })
}

for (const [name, [code, damage]] of Object.entries(luks2Faults)) {
  test(`a LUKS2 volume with a fault in one thing, ${name}, is refused as ${code}`, async () => {
    const volume = Buffer.from(valid)
    await assert.rejects(open(damage(volume) ?? volume), { name: 'LuksError', code })
  })
}

for (const [name, [warning, damage]] of Object.entries(luks2RepairableFaults)) {
  test(`a LUKS2 volume with a fault in one header, ${name}, opens by the other one and says so`, async () => {
    const volume = Buffer.from(valid)
    const { volumeKey: found, warnings } = await open(damage(volume) ?? volume)
    using _ = found
    assert.ok(found.equal(volumeKey))
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', warning)
  })
}

test('no more work is done than the limits say', async () => {
  const limits = { iterationsMax: 1999, argon2MemoryKibMax: 1024, argon2WorkKibMax: 4096 }
  await assert.rejects(open(valid, limits), { code: 'too-much-work', message: /key slot 0: 1000 PBKDF2 iterations/ })
  using found = (await open(valid, { ...limits, iterationsMax: 2000 })).volumeKey
  assert.ok(found.equal(volumeKey))
})

test('a payload that ends in part of a data unit is cut to whole ones, and that is said', async () => {
  const volume = Buffer.concat([valid, Buffer.alloc(100)])
  const { payloadSizeBytes, warnings } = await inspectForeign(readerOf(volume), volume.length)
  assert.equal(payloadSizeBytes, 8192)
  assert.match(warnings[0] ?? '', /last 100 bytes/)
})

test('a volume cut anywhere in its headers or key slots is refused', async () => {
  for (const sizeBytes of [0, 5, 7, 591, 4095, 4096, 16_383, 40_000, luks2PayloadOffsetBytes - 1]) {
    await assert.rejects(open(valid.subarray(0, sizeBytes)), { name: 'LuksError', code: 'truncated' }, `${sizeBytes}`)
  }
})

test('a reader that gives less than it was asked for is noticed', async () => {
  const short: ReadAt = async (offsetBytes, sizeBytes) => valid.subarray(offsetBytes, offsetBytes + sizeBytes - 1)
  await assert.rejects(openForeign(short, valid.length, passphrase), { name: 'LuksError', code: 'truncated' })
})

test('LUKS1 volumes of any payload offset open, without a byte of the payload being read', async () => {
  using slotPassphrase = Secret.random(64)
  const bytes = Buffer.from(await createHeader({ volumeKey, passphrase: slotPassphrase, uuid: luks2Uuid }))
  for (const sectors of [4040, 4096, 6144, 0x0400_0000]) {
    bytes.writeUInt32BE(sectors, 104)
    const sizeBytes = sectors * 512 + 4096
    const reads: ReadAt = async (offset, size) => {
      assert.ok(offset + size <= Math.min(sectors * 512, bytes.length))
      return bytes.subarray(offset, offset + size)
    }
    const volume = await openForeign(reads, sizeBytes, slotPassphrase)
    using found = volume.volumeKey
    assert.ok(found.equal(volumeKey))
    assert.partialDeepStrictEqual(volume, {
      ...{ version: 1, payloadOffsetBytes: sectors * 512, payloadSizeBytes: 4096 },
    })
    assert.equal(volume.adoptionRefusal === null, sectors <= 32_768)
    await assert.rejects(openForeign(reads, sectors * 512 - 1, slotPassphrase), { code: 'truncated' })
  }
})

test('no LUKS2 volume does anything but open or be refused with a LuksError', async () => {
  const limits = { iterationsMax: 2000, argon2MemoryKibMax: 1024, argon2WorkKibMax: 4096 }
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('binary', 'json'),
      fc.nat({ max: 900 }),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.boolean(),
      async (part, at, noise, sealed) => {
        const volume = Buffer.from(valid)
        for (const start of [0, 16_384]) volume.set(noise, start + (part === 'json' ? 4096 : 0) + at)
        if (sealed) reseal(volume)
        const found = await open(volume, limits).catch((error: unknown) => error)
        assert.ok(
          found instanceof LuksError || (found !== null && typeof found === 'object' && 'uuid' in found),
          `${found}`,
        )
      },
    ),
    { numRuns: 200 },
  )
})
