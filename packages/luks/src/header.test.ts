import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { createHeader } from './create-header.ts'
import { parseHeader } from './header.ts'
import { headerFieldsSizeBytes, payloadOffsetMaxBytes } from './header-layout.ts'
import { LuksError } from './luks-error.ts'
import { luks1Faults } from './testing/luks1-damages.ts'

const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'

async function validHeader(): Promise<Buffer> {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  return Buffer.from((await createHeader({ volumeKey, passphrase, uuid })).buffer)
}

for (const [name, [code, damage]] of Object.entries(luks1Faults)) {
  test(`a header with a fault in one thing, ${name}, is refused as ${code}`, async () => {
    const header = await validHeader()
    assert.throws(() => parseHeader(damage(header) ?? header), { name: 'LuksError', code })
  })
}

test('a valid header says what it was made from', async () => {
  const header = parseHeader(await validHeader())
  assert.equal(header.uuid, uuid)
  assert.equal(header.hash, 'sha256')
  assert.equal(header.volumeKeySizeBytes, 64)
  assert.equal(header.payloadOffsetBytes, 2_097_152)
  assert.equal(header.digestIterations, 1000)
  assert.deepEqual(
    header.keySlots.map((entry) => entry.active),
    [true, false, false, false, false, false, false, false],
  )
  assert.deepEqual(
    header.keySlots.map((entry) => entry.keyMaterialOffsetBytes / 512),
    [8, 512, 1016, 1520, 2024, 2528, 3032, 3536],
  )
})

test('the fields alone are enough to parse', async () => {
  const header = await validHeader()
  assert.deepEqual(parseHeader(header.subarray(0, headerFieldsSizeBytes)), parseHeader(header))
})

test('no input does anything but parse or be refused with a LuksError', async () => {
  const valid = await validHeader()
  const refusedOrParsed = (bytes: Uint8Array) => {
    try {
      parseHeader(bytes)
    } catch (error) {
      assert.ok(error instanceof LuksError)
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 700 }), refusedOrParsed))
  fc.assert(
    fc.property(
      fc.nat({ max: headerFieldsSizeBytes - 1 }),
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      (at, bytes) => {
        const header = Uint8Array.from(valid.subarray(0, headerFieldsSizeBytes))
        header.set(bytes.subarray(0, headerFieldsSizeBytes - at), at)
        refusedOrParsed(header)
      },
    ),
  )
})

test('a header is not made with a field that cannot be read back', async () => {
  using volumeKey = Secret.random(64)
  using shortKey = Secret.random(32)
  using passphrase = Secret.random(64)
  const base = { volumeKey, passphrase, uuid }
  await assert.rejects(createHeader({ ...base, volumeKey: shortKey }), { code: 'bad-key-size' })
  await assert.rejects(createHeader({ ...base, uuid: 'disk-1' }), { code: 'bad-uuid' })
  await assert.rejects(createHeader({ ...base, uuid: `${uuid}-${uuid}` }), { code: 'bad-text' })
  await assert.rejects(createHeader({ ...base, payloadOffsetBytes: 1_048_576 }), { code: 'bad-payload-offset' })
  await assert.rejects(createHeader({ ...base, payloadOffsetBytes: 2_097_153 }), { code: 'bad-payload-offset' })
  await assert.rejects(createHeader({ ...base, payloadOffsetBytes: payloadOffsetMaxBytes + 4096 }), {
    code: 'bad-payload-offset',
  })
})
