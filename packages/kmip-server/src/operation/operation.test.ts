import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import {
  type Attribute,
  attribute,
  type CryptographicAlgorithm,
  customAttribute,
  type GetResponse,
  operations,
  type RequestOf,
  v1_0,
  v1_1,
  v1_2,
  v1_3,
  v1_4,
} from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'
import { createRequest, Harness, itemOf } from '../testing/processor-harness.ts'

type Register = RequestOf<'Register'>
const raw = (bytes: Uint8Array) => ({ keyMaterial: Secret.from(Uint8Array.from(bytes)), attribute: [] })

function symmetricKey(bytes: Uint8Array, attributes: readonly ReturnType<typeof attribute>[] = []): Register {
  return {
    objectType: 'SymmetricKey',
    templateAttribute: { name: [], attribute: attributes },
    object: {
      keyBlock: {
        keyFormatType: 'Raw',
        keyValue: raw(bytes),
        cryptographicAlgorithm: 'AES',
        cryptographicLength: bytes.length * 8,
      },
    },
  }
}

function secretData(bytes: Uint8Array, keyFormatType: 'Raw' | 'Opaque' = 'Raw'): Register {
  return {
    objectType: 'SecretData',
    templateAttribute: { name: [], attribute: [] },
    object: { secretDataType: 'Seed', keyBlock: { keyFormatType, keyValue: raw(bytes) } },
  }
}

/** The bytes of an object that was given out. */
function bytesOf(answer: GetResponse): number[] {
  if (answer.objectType === 'OpaqueObject') return answer.object.opaqueDataValue.expose((bytes) => [...bytes])
  assert.ok(answer.objectType === 'SymmetricKey' || answer.objectType === 'SecretData')
  const { keyValue } = answer.object.keyBlock
  assert.ok(keyValue !== undefined && !(keyValue instanceof Secret))
  const material: unknown = keyValue.keyMaterial
  const secret = material instanceof Secret ? material : (material as { key: Secret }).key
  return secret.expose((bytes) => [...bytes])
}

test('Create makes keys of every kind that it offers, each another one', async () => {
  const harness = new Harness()
  const kinds: readonly (readonly [CryptographicAlgorithm, number, number])[] = [
    ['AES', 128, 16],
    ['AES', 192, 24],
    ['AES', 256, 32],
    ['DES3', 112, 16],
    ['DES3', 168, 24],
    ['Camellia', 256, 32],
    ['ChaCha20', 256, 32],
    ['HMAC_SHA256', 256, 32],
  ]
  const seen = new Set<string>()
  for (const [algorithm, length, sizeBytes] of kinds) {
    const template = [attribute('Cryptographic Algorithm', algorithm), attribute('Cryptographic Length', length)]
    const request = { objectType: 'SymmetricKey', templateAttribute: { name: [], attribute: template } } as const
    const { uniqueIdentifier } = await harness.ok('Create', request, v1_0)
    const answer = await harness.ok('Get', { uniqueIdentifier }, v1_0)
    const bytes = bytesOf(answer)
    assert.equal(bytes.length, sizeBytes, algorithm)
    seen.add(bytes.join())
    if (algorithm !== 'DES3') continue
    for (const byte of bytes)
      assert.equal([...byte.toString(2)].filter((bit) => bit === '1').length % 2, 1, 'odd parity')
  }
  assert.equal(seen.size, kinds.length)
})

test('Create refuses what it does not make', async () => {
  const harness = new Harness()
  const refuse = (...attributes: ReturnType<typeof attribute>[]) =>
    harness.fails(
      'Create',
      { objectType: 'SymmetricKey', templateAttribute: { name: [], attribute: attributes } },
      'InvalidField',
    )
  await refuse()
  await refuse(attribute('Cryptographic Algorithm', 'AES'))
  await refuse(attribute('Cryptographic Length', 256))
  for (const length of [0, 64, 255, 512, -128]) {
    await refuse(attribute('Cryptographic Algorithm', 'AES'), attribute('Cryptographic Length', length))
  }
  await refuse(attribute('Cryptographic Algorithm', 'RSA'), attribute('Cryptographic Length', 2048))
  await harness.fails('Create', { ...createRequest(), objectType: 'SecretData' }, 'InvalidField')
  const named = { name: [{ nameValue: 'template', nameType: 'UninterpretedTextString' as const }], attribute: [] }
  await harness.fails('Create', { objectType: 'SymmetricKey', templateAttribute: named }, 'ItemNotFound')
})

test('what was registered is given back as it was', async () => {
  const harness = new Harness()
  const key = Uint8Array.from({ length: 32 }, (_, index) => index)
  const registered = await harness.ok('Register', symmetricKey(key), v1_0)
  assert.deepEqual(Object.keys(registered), ['uniqueIdentifier'])
  const answer = await harness.ok('Get', registered, v1_0)
  assert.deepEqual(bytesOf(answer), [...key])

  // As libmongocrypt does it: no attributes, 96 bytes.
  const seed = new Uint8Array(96).fill(7)
  for (const format of ['Raw', 'Opaque'] as const) {
    const secret = await harness.ok('Get', await harness.ok('Register', secretData(seed, format)))
    assert.deepEqual(bytesOf(secret), [...seed])
    assert.ok(secret.objectType === 'SecretData')
    assert.equal(secret.object.secretDataType, 'Seed')
    const { keyFormatType, cryptographicAlgorithm, cryptographicLength } = secret.object.keyBlock
    assert.deepEqual([keyFormatType, cryptographicAlgorithm, cryptographicLength], [format, undefined, undefined])
  }

  const opaque = await harness.ok('Register', {
    objectType: 'OpaqueObject',
    templateAttribute: { name: [], attribute: [customAttribute('x-a', 'b')] },
    object: { opaqueDataType: 0x8000_0001, opaqueDataValue: Secret.from(Uint8Array.of(1, 2)) },
  })
  const { objectType, ...given } = await harness.ok('Get', opaque)
  assert.deepEqual(bytesOf({ objectType, ...given } as GetResponse), [1, 2])
  assert.deepEqual(await harness.attributes(opaque.uniqueIdentifier, 'State'), [])
  await harness.fails('Activate', opaque, 'IllegalOperation')
  await harness.ok('Destroy', opaque)
  await harness.fails('Get', opaque, 'ItemNotFound')
})

test('a transparent key is a key, and is given in either format', async () => {
  const harness = new Harness()
  const key = new Uint8Array(16).fill(5)
  const given = await harness.ok('Register', {
    objectType: 'SymmetricKey',
    templateAttribute: { name: [], attribute: [] },
    object: {
      keyBlock: {
        keyFormatType: 'TransparentSymmetricKey',
        keyValue: { keyMaterial: { key: Secret.from(Uint8Array.from(key)) }, attribute: [] },
        cryptographicAlgorithm: 'AES',
        cryptographicLength: 128,
      },
    },
  })
  for (const keyFormatType of ['Raw', 'TransparentSymmetricKey'] as const) {
    const answer = await harness.ok('Get', { ...given, keyFormatType })
    assert.ok(answer.objectType === 'SymmetricKey')
    assert.equal(answer.object.keyBlock.keyFormatType, keyFormatType)
    assert.deepEqual(bytesOf(answer), [...key])
  }
  await harness.fails('Get', { ...given, keyFormatType: 'PKCS_8' }, 'KeyFormatTypeNotSupported')
  const uncompressed = { ...given, keyCompressionType: 'ECPublicKeyTypeUncompressed' } as const
  await harness.fails('Get', uncompressed, 'KeyCompressionTypeNotSupported')
  const wrapped = { ...given, keyWrappingSpecification: { wrappingMethod: 'Encrypt', attributeName: [] } } as const
  await harness.fails('Get', wrapped, 'FeatureNotSupported')
})

test('Register refuses what does not fit together', async () => {
  const harness = new Harness()
  const key = new Uint8Array(32).fill(1)
  await harness.fails('Register', symmetricKey(key, [attribute('Cryptographic Length', 128)]), 'InvalidField')
  await harness.fails('Register', symmetricKey(key, [attribute('Cryptographic Algorithm', 'Camellia')]), 'InvalidField')
  await harness.fails('Register', symmetricKey(new Uint8Array(0)), 'InvalidField')
  const block = { keyFormatType: 'Raw' as const, keyValue: raw(key) }
  const bare = { objectType: 'SymmetricKey', templateAttribute: { name: [], attribute: [] } } as const
  await harness.fails('Register', { ...bare, object: { keyBlock: block } }, 'InvalidField')
  const short = { ...block, cryptographicAlgorithm: 'AES' as const, cryptographicLength: 128 }
  await harness.fails('Register', { ...bare, object: { keyBlock: short } }, 'InvalidField')
  const elsewhere = { keyFormatType: 'Raw' as const, cryptographicAlgorithm: 'AES' as const, cryptographicLength: 256 }
  await harness.fails('Register', { ...bare, object: { keyBlock: elsewhere } }, 'FeatureNotSupported')
  const wrapped = {
    ...elsewhere,
    keyValue: Secret.from(new Uint8Array(40)),
    keyWrappingData: { wrappingMethod: 'Encrypt' as const },
  }
  await harness.fails('Register', { ...bare, object: { keyBlock: wrapped } }, 'FeatureNotSupported')
  const publicKey = { keyBlock: { keyFormatType: 'X_509' as const, keyValue: raw(key) } }
  await harness.fails('Register', { ...bare, objectType: 'PublicKey', object: publicKey }, 'InvalidField')
  assert.deepEqual(await harness.locate(), [])
})

test('the Digest is that of the value, and gone with it', async () => {
  const harness = new Harness()
  const key = new Uint8Array(32).fill(3)
  const { uniqueIdentifier } = await harness.ok('Register', symmetricKey(key))
  const digest = attribute('Digest', {
    hashingAlgorithm: 'SHA_256',
    digestValue: Uint8Array.from(createHash('sha256').update(key).digest()),
    keyFormatType: 'Raw',
  })
  assert.deepEqual(await harness.attributes(uniqueIdentifier, 'Digest'), [digest])
  await harness.create()
  assert.deepEqual(await harness.locate(digest), [uniqueIdentifier])
  await harness.ok('Destroy', { uniqueIdentifier })
  assert.deepEqual(await harness.attributes(uniqueIdentifier, 'Digest'), [])
})

test('what is sensitive or not extractable stays here, and says so since 1.4', async () => {
  const harness = new Harness()
  for (const [given, reason] of [
    [attribute('Sensitive', true), 'Sensitive'],
    [attribute('Extractable', false), 'NotExtractable'],
  ] as const) {
    const uniqueIdentifier = await harness.create([given])
    await harness.fails('Get', { uniqueIdentifier }, reason, v1_4)
    await harness.fails('Get', { uniqueIdentifier }, 'PermissionDenied', v1_2)
    const always = given.attributeName === 'Sensitive' ? 'Always Sensitive' : 'Never Extractable'
    const stays = async () => (await harness.attributes(uniqueIdentifier, always))[0]?.attributeValue
    assert.equal(await stays(), true)
    const opposite =
      given.attributeName === 'Sensitive' ? attribute('Sensitive', false) : attribute('Extractable', true)
    await harness.ok('ModifyAttribute', { uniqueIdentifier, attribute: opposite })
    assert.equal(await stays(), false)
    await harness.ok('Get', { uniqueIdentifier })
  }
})

test('a key is fresh until it was given out', async () => {
  const harness = new Harness()
  const group = attribute('Object Group', 'spare')
  const [first, second] = [await harness.create([group]), await harness.create([group])]
  const fresh = () => harness.ok('Locate', { objectGroupMember: 'GroupMemberFresh', attribute: [group] }, v1_1)
  assert.deepEqual((await fresh()).uniqueIdentifier, [first, second])
  await harness.ok('Get', { uniqueIdentifier: first })
  assert.deepEqual((await fresh()).uniqueIdentifier, [second])
})

test('Locate compares structures by their fields, masks by their bits, dates by range', async () => {
  const harness = new Harness()
  const dates = ['2026-07-01', '2026-08-01', '2026-09-01'].map((day) => new Date(`${day}T00:00:00Z`))
  const ids: string[] = []
  for (const date of dates) {
    const data = { applicationNamespace: 'backup', applicationData: date.toISOString() }
    ids.push(
      await harness.create([attribute('Activation Date', date), attribute('Application Specific Information', data)]),
    )
  }
  const [one, two, three] = ids
  const [early, middle, late] = dates
  assert.ok(early !== undefined && middle !== undefined && late !== undefined)
  const found = async (...wanted: ReturnType<typeof attribute>[]) => (await harness.locate(...wanted)).toSorted()
  assert.deepEqual(await found(attribute('Activation Date', middle)), [two])
  assert.deepEqual(await found(attribute('Activation Date', early), attribute('Activation Date', middle)), [one, two])
  assert.deepEqual(await found(attribute('Activation Date', late), attribute('Activation Date', middle)), [two, three])
  assert.deepEqual(await found(attribute('Application Specific Information', { applicationNamespace: 'backup' })), ids)
  const exact = { applicationNamespace: 'backup', applicationData: middle.toISOString() }
  assert.deepEqual(await found(attribute('Application Specific Information', exact)), [two])
  for (const [mask, count] of [
    [4, 3],
    [12, 3],
    [8, 3],
    [16, 0],
    [28, 0],
    [0, 3],
  ] as const) {
    assert.equal((await found(attribute('Cryptographic Usage Mask', mask))).length, count, `mask ${mask}`)
  }
  assert.deepEqual(await found(attribute('Unique Identifier', two ?? '')), [two])
  assert.deepEqual(await found(attribute('Object Type', 'SecretData')), [])
  assert.deepEqual(
    await found(attribute('Cryptographic Algorithm', 'AES'), attribute('Cryptographic Length', 256)),
    ids,
  )
  await harness.fails('Locate', { attribute: dates.map((date) => attribute('Activation Date', date)) }, 'InvalidField')
})

test('Locate in pages', async () => {
  const harness = new Harness()
  const ids: string[] = []
  for (let index = 0; index < 7; index++) ids.push(await harness.create())
  const page = (maximumItems: number, offsetItems: number) =>
    harness.ok('Locate', { maximumItems, offsetItems, attribute: [] }, v1_3)
  assert.deepEqual(await page(3, 0), { locatedItems: 7, uniqueIdentifier: ids.slice(0, 3) })
  assert.deepEqual(await page(3, 6), { locatedItems: 7, uniqueIdentifier: ids.slice(6) })
  assert.deepEqual(await page(0, 0), { locatedItems: 7, uniqueIdentifier: [] })
  const newest = await harness.ok('Locate', { maximumItems: 1, attribute: [] }, v1_4)
  assert.deepEqual(newest, { uniqueIdentifier: ids.slice(-1) })
  await harness.fails('Locate', { maximumItems: -1, attribute: [] }, 'InvalidField')
  const archived = await harness.ok('Locate', { storageStatusMask: 2, attribute: [] })
  assert.deepEqual(archived.uniqueIdentifier, [], 'nothing is archived here')
})

test('Query tells what there is, in the words of the version', async () => {
  const harness = new Harness()
  const query = (version: typeof v1_0) =>
    harness.ok(
      'Query',
      {
        queryFunction: ['QueryOperations', 'QueryObjects', 'QueryServerInformation', 'QueryCapabilities', 'QueryRNGs'],
      },
      version,
    )
  const old = await query(v1_0)
  assert.equal(old.operation.length, Object.keys(operations).length - 1)
  assert.ok(!old.operation.includes('DiscoverVersions'))
  assert.deepEqual(old.objectType, ['SymmetricKey', 'SecretData', 'OpaqueObject'])
  assert.equal(old.vendorIdentification, 'Test')
  assert.deepEqual(old.capabilityInformation, [])
  assert.ok((await query(v1_1)).operation.includes('DiscoverVersions'))
  assert.equal((await query(v1_3)).capabilityInformation[0]?.batchUndoCapability, undefined)
  assert.equal((await query(v1_4)).capabilityInformation[0]?.batchUndoCapability, true)
})

test('Check names what is too much, and takes the object out of the batch', async () => {
  const harness = new Harness()
  const uniqueIdentifier = await harness.create()
  assert.deepEqual(await harness.ok('Check', { uniqueIdentifier, cryptographicUsageMask: 4 }), { uniqueIdentifier })
  const create = itemOf('Create', createRequest())
  const check = itemOf('Check', { cryptographicUsageMask: 1 | 4 })
  const answer = await harness.send([create, check, itemOf('Activate', {})], {
    batchErrorContinuationOption: 'Continue',
  })
  const [, checked, activated] = answer.batchItem
  assert.deepEqual([checked?.resultReason, activated?.resultReason], ['PermissionDenied', 'ItemNotFound'])
  assert.deepEqual(Object.keys(Object(checked?.responsePayload)), ['uniqueIdentifier', 'cryptographicUsageMask'])
})

test('the secret that Create makes does not outlive it', async () => {
  const harness = new Harness()
  await harness.create()
  assert.equal(harness.made.length, 1)
  assert.ok(harness.made.every((secret) => secret.wiped))
})

test('Locate takes structures with some of their fields, and only there', async () => {
  const harness = new Harness()
  const named = await harness.create([attribute('Name', { nameValue: 'one', nameType: 'UninterpretedTextString' })])
  const link = { linkType: 'PreviousLink', linkedObjectIdentifier: named } as const
  const linked = await harness.create([attribute('Link', link)])
  // What a client sends that leaves fields out; the types of what is there would not have it.
  const some = (attributeName: 'Name' | 'Link', value: object) =>
    ({ attributeName, attributeValue: value }) as Attribute
  assert.deepEqual(await harness.locate(some('Name', { nameValue: 'one' })), [named])
  assert.deepEqual(await harness.locate(some('Name', { nameValue: 'two' })), [])
  assert.deepEqual(await harness.locate(some('Link', { linkType: 'PreviousLink' })), [linked])
  assert.deepEqual(await harness.locate(some('Link', { linkedObjectIdentifier: named })), [linked])
  assert.deepEqual(await harness.locate(some('Link', { linkType: 'NextLink' })), [])
  assert.deepEqual(await harness.locate(some('Link', {})), [linked])
  const added = harness.ok('AddAttribute', { uniqueIdentifier: linked, attribute: some('Name', { nameValue: 'two' }) })
  await assert.rejects(added, { code: 'missing-field' })
})
