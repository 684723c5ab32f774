import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { createHeader } from './create-header.ts'
import { parseHeader } from './header.ts'
import { headerFieldsSizeBytes, iterationsMax, payloadOffsetMaxBytes } from './header-layout.ts'
import { LuksError, type LuksErrorCode } from './luks-error.ts'

const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'

async function validHeader(): Promise<Buffer> {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  return Buffer.from((await createHeader({ volumeKey, passphrase, uuid })).buffer)
}

const slot = (index: number) => 208 + 48 * index

/** Each damages exactly one thing in a valid header. */
const damages: readonly (readonly [string, LuksErrorCode, (header: Buffer) => Buffer | unknown])[] = [
  ['first byte of the magic', 'bad-magic', (header) => header.writeUInt8(0x4d, 0)],
  ['last byte of the magic', 'bad-magic', (header) => header.writeUInt8(0xbf, 5)],
  ['nothing but zeros', 'bad-magic', (header) => header.fill(0)],
  ['cut in the magic', 'truncated', (header) => header.subarray(0, 5)],
  ['cut one byte before the end of the fields', 'truncated', (header) => header.subarray(0, 591)],
  ['version 0', 'unsupported-version', (header) => header.writeUInt16BE(0, 6)],
  ['version 2', 'unsupported-version', (header) => header.writeUInt16BE(2, 6)],
  ['another cipher', 'unsupported-cipher', (header) => header.write('serpent', 8)],
  ['cipher that only begins with aes', 'unsupported-cipher', (header) => header.write('aesx', 8)],
  ['another mode', 'unsupported-cipher', (header) => header.fill(0, 40, 72).write('ecb', 40)],
  ['plain instead of plain64', 'unsupported-cipher', (header) => header.fill(0, 50, 52)],
  ['no cipher', 'bad-text', (header) => header.fill(0, 8, 40)],
  ['cipher without a zero at its end', 'bad-text', (header) => header.fill('a', 8, 40)],
  ['text after the zero of the cipher', 'bad-text', (header) => header.write('x', 20)],
  ['line feed in the mode', 'bad-text', (header) => header.writeUInt8(10, 43)],
  ['another hash', 'unsupported-hash', (header) => header.fill(0, 72, 104).write('whirlpool', 72)],
  ['hash in capitals', 'unsupported-hash', (header) => header.write('SHA256', 72)],
  ['payload offset 0', 'bad-payload-offset', (header) => header.writeUInt32BE(0, 104)],
  ['payload inside the fields', 'bad-payload-offset', (header) => header.writeUInt32BE(1, 104)],
  [
    'payload beyond the limit',
    'bad-payload-offset',
    (header) => header.writeUInt32BE(payloadOffsetMaxBytes / 512 + 1, 104),
  ],
  ['payload inside the key material', 'slot-out-of-range', (header) => header.writeUInt32BE(4000, 104)],
  ['key of 48 bytes', 'bad-key-size', (header) => header.writeUInt32BE(48, 108)],
  ['key of 0 bytes', 'bad-key-size', (header) => header.writeUInt32BE(0, 108)],
  ['key of 4 GiB', 'bad-key-size', (header) => header.writeUInt32BE(0xffff_ffff, 108)],
  ['no digest iterations', 'bad-iterations', (header) => header.writeUInt32BE(0, 164)],
  ['too many digest iterations', 'bad-iterations', (header) => header.writeUInt32BE(iterationsMax + 1, 164)],
  ['empty UUID', 'bad-text', (header) => header.fill(0, 168, 208)],
  ['UUID with one digit less', 'bad-uuid', (header) => header.fill(0, 203, 204)],
  ['UUID with a letter that is no digit', 'bad-uuid', (header) => header.write('g', 168)],
  ['first slot neither enabled nor disabled', 'bad-slot-state', (header) => header.writeUInt32BE(1, slot(0))],
  ['last slot neither enabled nor disabled', 'bad-slot-state', (header) => header.writeUInt32BE(0, slot(7))],
  ['no iterations in the active slot', 'bad-iterations', (header) => header.writeUInt32BE(0, slot(0) + 4)],
  ['too many iterations', 'bad-iterations', (header) => header.writeUInt32BE(iterationsMax + 1, slot(0) + 4)],
  ['no stripes', 'bad-stripes', (header) => header.writeUInt32BE(0, slot(0) + 44)],
  ['other stripes in a disabled slot', 'bad-stripes', (header) => header.writeUInt32BE(4001, slot(5) + 44)],
  ['key material over the fields', 'slot-out-of-range', (header) => header.writeUInt32BE(1, slot(0) + 40)],
  ['key material at 0 in a disabled slot', 'slot-out-of-range', (header) => header.writeUInt32BE(0, slot(3) + 40)],
  ['key material into the payload', 'slot-out-of-range', (header) => header.writeUInt32BE(3597, slot(7) + 40)],
  ['key material beyond 2 TiB', 'slot-out-of-range', (header) => header.writeUInt32BE(0xffff_ffff, slot(7) + 40)],
  ['one sector of overlap', 'slots-overlap', (header) => header.writeUInt32BE(507, slot(1) + 40)],
  ['two slots at one place', 'slots-overlap', (header) => header.writeUInt32BE(8, slot(6) + 40)],
]

for (const [name, code, damage] of damages) {
  test(`a header with ${name} is refused as ${code}`, async () => {
    const header = await validHeader()
    const damaged = damage(header)
    assert.throws(() => parseHeader(Buffer.isBuffer(damaged) ? damaged : header), { name: 'LuksError', code })
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
