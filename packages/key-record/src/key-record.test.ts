import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { inspectRecord, type NamedKek, unwrapDek, wrapDek } from './key-record.ts'
import { KeyRecordError, type KeyRecordErrorCode } from './key-record-error.ts'
import type { RecordHeader } from './record-header.ts'
import { recordSizeMax } from './record-text.ts'
import { changed, diskAuthority, diskHeader, homeHeader, namedKek, withProtected } from './testing/records.ts'

const one = namedKek('kms/1')
const two = namedKek('kms/2')

async function record(options: { keks?: readonly NamedKek[]; header?: RecordHeader; dek?: Secret } = {}) {
  using dek = options.dek?.clone() ?? Secret.random(32)
  return await wrapDek({ dek, keks: options.keks ?? [one], header: options.header ?? diskHeader })
}

test('each KEK alone gives back the DEK and the header', async () => {
  using dek = Secret.random(32)
  const text = await record({ dek, keks: [one, two] })
  for (const named of [one, two]) {
    const found = await unwrapDek(text, named, diskAuthority)
    using foundDek = found.dek
    assert.ok(foundDek.equal(dek))
    assert.deepEqual(found.header, diskHeader)
  }
  assert.deepEqual(inspectRecord(text), { header: diskHeader, kids: ['kms/1', 'kms/2'] })
})

test('VM Home has a record of its own kind', async () => {
  using dek = Secret.random(32)
  const text = await record({ dek, header: homeHeader })
  const authority = { kind: 'vm-home', vmId: homeHeader.vmId, kids: ['kms/1'], generationMin: 1 } as const
  const found = await unwrapDek(text, one, authority)
  using foundDek = found.dek
  assert.ok(foundDek.equal(dek))
  assert.deepEqual(found.header, homeHeader)
  await assert.rejects(unwrapDek(text, one, diskAuthority), { code: 'other-kind' })
  await assert.rejects(unwrapDek(text, one, { ...authority, vmId: diskHeader.layerId }), { code: 'other-vm' })
})

test('every wrap makes a fresh content key and IV', async () => {
  using dek = Secret.random(32)
  const parts = [await record({ dek }), await record({ dek })].map(
    (text) => JSON.parse(text) as Record<string, unknown>,
  )
  for (const name of ['iv', 'ciphertext', 'tag', 'recipients'])
    assert.notDeepEqual(parts[0]?.[name], parts[1]?.[name], name)
})

test('the record of two long key IDs fits its place', async () => {
  const text = await record({ keks: [namedKek(`p/${'k'.repeat(500)}`), namedKek(`q/${'k'.repeat(500)}`)] })
  assert.ok(text.length < recordSizeMax / 2)
})

test('what the control plane does not say is refused', async () => {
  const text = await record()
  const expectations: readonly (readonly [KeyRecordErrorCode, Partial<typeof diskAuthority>])[] = [
    ['other-layer', { layerId: '018f2f6a-0000-7000-8000-000000000009' }],
    ['other-luks-uuid', { luksUuid: '018f2f6a-0000-7000-8000-000000000009' }],
    ['foreign-kid', { kids: ['kms/2'] }],
    ['old-generation', { generationMin: 6 }],
  ]
  for (const [code, difference] of expectations) {
    await assert.rejects(unwrapDek(text, one, { ...diskAuthority, ...difference }), { name: 'KeyRecordError', code })
  }
})

test('a recipient that the control plane does not know spoils the whole record', async () => {
  const text = await record({ keks: [one, namedKek('evil/1')] })
  await assert.rejects(unwrapDek(text, one, diskAuthority), { code: 'foreign-kid' })
})

test('another KEK under the same name opens nothing, nor does one that is no recipient', async () => {
  const text = await record()
  await assert.rejects(unwrapDek(text, namedKek('kms/1'), diskAuthority), { code: 'wrong-kek' })
  await assert.rejects(unwrapDek(text, two, diskAuthority), { code: 'not-a-recipient' })
})

test('no change to a header field goes unnoticed, even one that the authority does not name', async () => {
  const text = await record()
  const changes: Readonly<Record<string, unknown>> = {
    payloadSizeBytes: 1_000_002,
    payloadOffsetBytes: 4_194_304,
    payloadFormat: 'qcow2',
    generation: 6,
  }
  for (const [name, value] of Object.entries(changes)) {
    const forged = withProtected(text, (header) => {
      header[name] = value
    })
    await assert.rejects(unwrapDek(forged, one, diskAuthority), { code: 'wrong-kek' }, name)
  }
})

/** Each makes one thing in a valid record wrong in form. */
const damages: readonly (readonly [string, KeyRecordErrorCode, (text: string) => string])[] = [
  ['no JSON', 'malformed', (text) => text.slice(0, -1)],
  ['an array', 'malformed', (text) => `[${text}]`],
  ['more than 8 KiB', 'too-large', (text) => text.padEnd(8193)],
  ['a field too many', 'unknown-field', (text) => changed(text, (jwe) => Object.assign(jwe, { aad: 'AAAA' }))],
  ['a shared header', 'unknown-field', (text) => changed(text, (jwe) => Object.assign(jwe, { unprotected: {} }))],
  ['no tag', 'malformed', (text) => changed(text, (jwe) => Reflect.deleteProperty(jwe, 'tag'))],
  ['an IV that is not base64url', 'malformed', (text) => changed(text, (jwe) => Object.assign(jwe, { iv: '+/==' }))],
  ['no recipients', 'malformed', (text) => changed(text, (jwe) => Object.assign(jwe, { recipients: [] }))],
  [
    'nine recipients',
    'malformed',
    (text) => changed(text, (jwe) => Object.assign(jwe, { recipients: Array(9).fill(jwe['recipients']) })),
  ],
  ['one recipient twice', 'duplicate-kid', (text) => changeRecipients(text, (recipient) => [recipient, recipient])],
  ['another alg', 'unsupported-algorithm', (text) => changeRecipientHeader(text, { alg: 'dir', kid: 'kms/1' })],
  ['no kid', 'malformed', (text) => changeRecipientHeader(text, { alg: 'A256KW' })],
  ['a kid without a provider', 'bad-field', (text) => changeRecipientHeader(text, { alg: 'A256KW', kid: '1' })],
  ['a kid with a space', 'bad-field', (text) => changeRecipientHeader(text, { alg: 'A256KW', kid: 'kms/1 2' })],
  [
    'a recipient header too many',
    'unknown-field',
    (text) => changeRecipientHeader(text, { alg: 'A256KW', kid: 'kms/1', zip: 'DEF' }),
  ],
  [
    'another enc',
    'unsupported-algorithm',
    (text) => withProtected(text, (header) => Object.assign(header, { enc: 'A128GCM' })),
  ],
  [
    'alg in the protected header',
    'unknown-field',
    (text) => withProtected(text, (header) => Object.assign(header, { alg: 'dir' })),
  ],
  [
    'an unknown header field',
    'unknown-field',
    (text) => withProtected(text, (header) => Object.assign(header, { crit: ['x'] })),
  ],
  [
    'a version to come',
    'unsupported-version',
    (text) => withProtected(text, (header) => Object.assign(header, { version: 2 })),
  ],
  ['another type', 'bad-field', (text) => withProtected(text, (header) => Object.assign(header, { typ: 'JWT' }))],
  ['another kind', 'bad-field', (text) => withProtected(text, (header) => Object.assign(header, { kind: 'tape' }))],
  ['another cipher', 'bad-field', (text) => withProtected(text, (header) => Object.assign(header, { cipher: 'null' }))],
  [
    'a layer that is no UUID',
    'bad-field',
    (text) => withProtected(text, (header) => Object.assign(header, { layerId: '../x' })),
  ],
  [
    'a size that is text',
    'bad-field',
    (text) => withProtected(text, (header) => Object.assign(header, { payloadSizeBytes: '1' })),
  ],
  ['generation 0', 'bad-field', (text) => withProtected(text, (header) => Object.assign(header, { generation: 0 }))],
  [
    'no generation',
    'bad-field',
    (text) => withProtected(text, (header) => Reflect.deleteProperty(header, 'generation')),
  ],
  [
    'a protected header that is no JSON',
    'malformed',
    (text) => changed(text, (jwe) => Object.assign(jwe, { protected: 'AAAA' })),
  ],
]

function changeRecipients(text: string, change: (recipient: unknown) => unknown[]): string {
  return changed(text, (jwe) => {
    const recipients: unknown = jwe['recipients']
    assert.ok(Array.isArray(recipients))
    jwe['recipients'] = change(recipients[0])
  })
}

function changeRecipientHeader(text: string, header: unknown): string {
  return changeRecipients(text, (recipient) => [Object.assign(Object(recipient), { header })])
}

for (const [name, code, damage] of damages) {
  test(`a record with ${name} is refused as ${code}`, async () => {
    const damaged = damage(await record())
    await assert.rejects(unwrapDek(damaged, one, diskAuthority), { name: 'KeyRecordError', code })
    assert.throws(() => inspectRecord(damaged), { name: 'KeyRecordError', code })
  })
}

test('changed bytes of every encrypted part are noticed', async () => {
  const text = await record()
  const jwe = JSON.parse(text) as Record<string, string>
  for (const name of ['iv', 'ciphertext', 'tag']) {
    const bytes = Buffer.from(jwe[name] ?? '', 'base64url')
    bytes[0] = (bytes[0] ?? 0) ^ 1
    const forged = changed(text, (parts) => Object.assign(parts, { [name]: bytes.toString('base64url') }))
    await assert.rejects(unwrapDek(forged, one, diskAuthority), { code: 'wrong-kek' }, name)
  }
})

test('no text does anything but parse or be refused with a KeyRecordError', async () => {
  const valid = await record()
  const inspect = (text: string) => {
    try {
      inspectRecord(text)
    } catch (error) {
      assert.ok(error instanceof KeyRecordError)
    }
  }
  fc.assert(fc.property(fc.json(), inspect))
  fc.assert(
    fc.property(fc.nat({ max: valid.length }), fc.nat({ max: 20 }), fc.string(), (at, size, text) =>
      inspect(valid.slice(0, at) + text + valid.slice(at + size)),
    ),
  )
})

test('a record is not made of impossible parts', async () => {
  using short = Secret.random(16)
  await assert.rejects(record({ dek: short }), { code: 'bad-key-size' })
  await assert.rejects(record({ keks: [{ kid: 'kms/1', kek: short }] }), { code: 'bad-key-size' })
  await assert.rejects(record({ keks: [] }), { code: 'malformed' })
  await assert.rejects(record({ keks: [one, one] }), { code: 'duplicate-kid' })
  await assert.rejects(record({ keks: [{ ...one, kid: 'no provider' }] }), { code: 'bad-field' })
  await assert.rejects(record({ header: { ...diskHeader, generation: 1.5 } }), { code: 'bad-field' })
  await assert.rejects(record({ header: Object.assign({ note: 'x' }, diskHeader) }), { code: 'unknown-field' })
  const many = Array.from({ length: 8 }, (_, index) => namedKek(`${'p'.repeat(400)}/${index}${'k'.repeat(100)}`))
  assert.ok((await record({ keks: many })).length <= recordSizeMax)
})

test('error texts and causes hold no key byte', async () => {
  using dek = Secret.random(32)
  const text = await record({ dek })
  const error = await unwrapDek(text, namedKek('kms/1'), diskAuthority).catch((reason: unknown) => reason)
  assert.ok(error instanceof KeyRecordError)
  const shown = `${error.stack}${JSON.stringify(error)}${String(error.cause)}`
  dek.expose((bytes) => assert.ok(!shown.includes(Buffer.from(bytes).toString('hex'))))
  assert.match(shown, /kms\/1/)
})
