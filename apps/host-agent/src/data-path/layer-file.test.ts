import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Authority, type DiskRecordHeader, type NamedKek, wrapDek } from '@cryptvisor/key-record'
import { Secret } from '@cryptvisor/secret'
import { createLayer, type NewLayer, openLayer } from './layer-file.ts'
import type { Place } from './place.ts'
import { ImageFolder, replaceRecord, unhurried } from './testing/images.ts'
import { transfer } from './transfer.ts'
import { verify } from './verify.ts'

const layerId = '018f2f6a-0000-7000-8000-000000000001'
const luksUuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'
const dek = Secret.random(32)
const kek: NamedKek = { kid: 'kms/1', kek: Secret.random(32) }
const newKek: NamedKek = { kid: 'kms/2', kek: Secret.random(32) }
const authority: Authority = { kind: 'disk', layerId, luksUuid, kids: ['kms/1', 'kms/2'], generationMin: 1 }

const headerOf = (payloadSizeBytes: number, change: Partial<DiskRecordHeader> = {}): DiskRecordHeader => ({
  kind: 'disk',
  layerId,
  luksUuid,
  generation: 1,
  cipher: 'aes-xts-plain64',
  payloadOffsetBytes: 2_097_152,
  payloadFormat: 'raw',
  payloadSizeBytes,
  ...change,
})

const newLayer = (place: Place, sizeBytes: number, change: Partial<DiskRecordHeader> = {}): NewLayer => ({
  place,
  header: headerOf(sizeBytes, change),
  dek,
  keks: [kek],
})

const recordOf = (keks: readonly NamedKek[], generation: number, payloadSizeBytes: number, otherUuid = luksUuid) =>
  wrapDek({ dek, keks, header: headerOf(payloadSizeBytes, { generation, luksUuid: otherUuid }) })

/** A layer with a payload of random bytes. */
async function filledLayer(folder: ImageFolder, sizeBytes: number) {
  const source = folder.plainImage('source.raw', sizeBytes)
  const place = folder.place('layer.luks')
  const image = await createLayer(newLayer(place, sizeBytes))
  await transfer(source, image, unhurried())
  return { source, place, image }
}

test('a layer opens with its KEK and nothing else kept', async (context) => {
  const folder = await ImageFolder.open(context)
  const { source, place, image } = await filledLayer(folder, 10_001)
  using layer = await openLayer(place, [newKek, kek], authority)
  assert.ok(layer.dek.equal(dek))
  assert.ok(layer.image.volumeKey.equal(image.volumeKey))
  assert.equal(layer.image.sizeBytes, 10_001)
  assert.deepEqual(layer.reports, { A: { state: 'counts' }, B: { state: 'same' } })
  assert.ok(layer.inStep)
  await verify(source, layer.image, unhurried())
  await assert.rejects(openLayer(place, [newKek], authority), { code: 'no-valid-copy' })
  await assert.rejects(openLayer(place, [kek], { ...authority, kids: ['kms/2'] }), { code: 'no-valid-copy' })
})

test('a shallow rekey, step by step, opens at every step with the data as it was', async (context) => {
  const folder = await ImageFolder.open(context)
  const { source, place } = await filledLayer(folder, 10_001)
  const opens = async (named: NamedKek, name: 'A' | 'B', generation: number) => {
    using layer = await openLayer(place, [named], authority)
    assert.equal(layer.record.generation, generation)
    assert.equal(layer.reports[name].state, 'counts')
    await verify(source, layer.image, unhurried())
  }
  await replaceRecord(place, ['A'], await recordOf([kek, newKek], 2, 10_001))
  await opens(kek, 'A', 2)
  await opens(newKek, 'A', 2)
  const newAlone = await recordOf([newKek], 3, 10_001)
  await replaceRecord(place, ['B'], newAlone)
  await opens(newKek, 'B', 3)
  await replaceRecord(place, ['A'], newAlone)
  await opens(newKek, 'A', 3)
  await assert.rejects(openLayer(place, [kek], authority), { code: 'no-valid-copy' })
})

test('a torn copy is reported, and the other opens the layer', async (context) => {
  const folder = await ImageFolder.open(context)
  const { place } = await filledLayer(folder, 512)
  const bytes = readFileSync(place.path)
  bytes.fill(0xff, 2_097_152 - 16_384 + 100, 2_097_152 - 16_384 + 4096)
  writeFileSync(place.path, bytes)
  using layer = await openLayer(place, [kek], authority)
  assert.equal(layer.reports.A.state, 'damaged')
  assert.equal(layer.reports.B.state, 'counts')
  assert.ok(!layer.inStep)
  await replaceRecord(place, ['A', 'B'], await recordOf([kek], 2, 512))
  using repaired = await openLayer(place, [kek], authority)
  assert.ok(repaired.inStep)
})

test('a header with the record of another volume does not open', async (context) => {
  const folder = await ImageFolder.open(context)
  const { place } = await filledLayer(folder, 512)
  const otherUuid = '0f4c5a3e-3b7d-4c55-9f0f-000000000000'
  await replaceRecord(place, ['A', 'B'], await recordOf([kek], 2, 512, otherUuid))
  await assert.rejects(openLayer(place, [kek], { ...authority, luksUuid: otherUuid }), { code: 'record-mismatch' })
})

test('a qcow2 may have grown in its payload, a raw image has its size, neither is cut', async (context) => {
  const folder = await ImageFolder.open(context)
  for (const [format, grownBytes] of [
    ['raw', 1000],
    ['qcow2', 4096],
  ] as const) {
    const place = folder.place(`${format}.luks`)
    await createLayer(newLayer(place, 1000, { payloadFormat: format }))
    await assert.rejects(openLayer(place, [kek], authority), { code: 'truncated' })
    truncateSync(place.path, 2_097_152 + 1024)
    using whole = await openLayer(place, [kek], authority)
    assert.equal(whole.image.sizeBytes, 1000)
    truncateSync(place.path, 2_097_152 + 4096)
    using grown = await openLayer(place, [kek], authority)
    assert.equal(grown.image.sizeBytes, grownBytes)
  }
})

test('a layer is new, its owner alone may read it, and it is whole or not there', async (context) => {
  const folder = await ImageFolder.open(context)
  const place = folder.place('layer.luks')
  await createLayer(newLayer(place, 512))
  assert.equal(statSync(place.path).mode & 0o777, 0o600)
  assert.equal(statSync(place.path).size, 2_097_152)
  await assert.rejects(createLayer(newLayer(place, 512)), { code: 'already-exists' })
  const other = folder.place('other.luks')
  await assert.rejects(createLayer({ ...newLayer(other, 512), keks: [] }), { name: 'KeyRecordError' })
  await assert.rejects(createLayer(newLayer(other, 512, { luksUuid: 'x' })), { name: 'KeyRecordError' })
  assert.ok(!existsSync(other.path))
})

test('no key lies in the file', async (context) => {
  const folder = await ImageFolder.open(context)
  const { place, image } = await filledLayer(folder, 4096)
  const bytes = readFileSync(place.path)
  for (const secret of [dek, kek.kek, image.volumeKey]) {
    secret.expose((key) => {
      for (let offset = 0; offset + 8 <= key.length; offset += 8) {
        const part = Buffer.from(key.subarray(offset, offset + 8))
        assert.equal(bytes.indexOf(part), -1)
        assert.equal(bytes.indexOf(part.toString('hex')), -1)
      }
    })
  }
})
