import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Attribute,
  attribute,
  customAttribute,
  type StandardAttributeName,
  standardAttributes,
  v1_0,
  v1_1,
  v1_2,
  v1_3,
  v1_4,
} from '@cryptvisor/kmip'
import type { AnyValue } from '@cryptvisor/ttlv'
import { createRequest, Harness, itemOf } from '../testing/processor-harness.ts'

const past = new Date('2026-05-01T00:00:00Z')
const future = new Date('2026-07-01T00:00:00Z')

test('custom attributes of every type are kept, found and given back', async () => {
  const harness = new Harness()
  const values: readonly AnyValue[] = [
    { type: 'TextString', value: 'text with ü' },
    { type: 'Integer', value: -5 },
    { type: 'LongInteger', value: 2n ** 40n },
    { type: 'BigInteger', value: -(2n ** 100n) },
    { type: 'Enumeration', value: 7 },
    { type: 'Boolean', value: true },
    { type: 'ByteString', value: Uint8Array.of(0, 255) },
    { type: 'DateTime', value: past },
    { type: 'Interval', value: 60 },
    { type: 'Structure', value: [{ tag: 0x540001, type: 'Integer', value: 1 }] },
  ]
  for (const [index, value] of values.entries()) {
    const given = customAttribute('x-value', value)
    const id = await harness.create([given])
    assert.deepEqual(await harness.attributes(id, 'x-value', v1_0), [given], value.type)
    assert.deepEqual(await harness.locate(given), [id], value.type)
    const others = values.filter((_, otherIndex) => otherIndex !== index)
    for (const other of others) assert.notDeepEqual(await harness.locate(customAttribute('x-value', other)), [id])
    await harness.ok('Destroy', { uniqueIdentifier: id })
  }
  const nested = customAttribute('x-value', {
    type: 'Structure',
    value: [{ tag: 0x540001, type: 'Structure', value: [] }],
  })
  await harness.fails('Create', createRequest([nested]), 'InvalidField')
})

test('a custom attribute has no type that the version does not define', async () => {
  const harness = new Harness()
  const id = await harness.create([customAttribute('x-value', 'v')])
  const extended = { type: 'DateTimeExtended', value: 5n } as const
  for (const value of [extended, { type: 'Structure', value: [{ tag: 0x540001, ...extended }] }] as const) {
    const given = customAttribute('x-value', value)
    await harness.fails('Create', createRequest([given]), 'InvalidField', v1_4)
    await harness.fails('AddAttribute', { uniqueIdentifier: id, attribute: given }, 'InvalidField', v1_0)
    await harness.fails('ModifyAttribute', { uniqueIdentifier: id, attribute: given }, 'InvalidField', v1_4)
  }
})

test('thirty custom attributes of 255 characters', async () => {
  const harness = new Harness()
  const given = Array.from({ length: 30 }, (_, index) =>
    customAttribute(`x-${index}`.padEnd(255, 'n') as 'x-', 'v'.repeat(255)),
  )
  const id = await harness.create(given)
  const { attribute: found } = await harness.ok('GetAttributes', { uniqueIdentifier: id, attributeName: [] })
  assert.equal(found.filter(({ attributeName }) => attributeName.startsWith('x-')).length, 30)
  await harness.fails('Create', createRequest([customAttribute(`x-${'n'.repeat(254)}`, 'v')]), 'InvalidField')
})

test('an object has at most so many attributes, and so large ones', async () => {
  const harness = new Harness()
  const many = Array.from({ length: 1001 }, () => customAttribute('x-many', 'v'))
  await harness.fails('Create', createRequest(many), 'InvalidField')
  const id = await harness.create()
  const large = customAttribute('x-large', 'v'.repeat(200_000))
  await harness.ok('AddAttribute', { uniqueIdentifier: id, attribute: large })
  await harness.fails('AddAttribute', { uniqueIdentifier: id, attribute: large }, 'InvalidField')
})

test('instances have indices that stay, and do not come twice while others are there', async () => {
  const harness = new Harness()
  const id = await harness.create([customAttribute('x-n', 'zero'), customAttribute('x-n', 'one')])
  const add = async (value: string) =>
    (await harness.ok('AddAttribute', { uniqueIdentifier: id, attribute: customAttribute('x-n', value) })).attribute
  assert.equal((await add('two')).attributeIndex, 2)
  const remove = (attributeIndex?: number) =>
    harness.ok('DeleteAttribute', {
      uniqueIdentifier: id,
      attributeName: 'x-n',
      ...(attributeIndex === undefined ? {} : { attributeIndex }),
    })
  assert.deepEqual((await remove(2)).attribute, customAttribute('x-n', 'two', 2), 'the answer says what is gone')
  assert.equal((await add('three')).attributeIndex, 3)
  assert.equal((await remove()).attribute.attributeIndex, undefined, 'no index means 0')
  assert.deepEqual(await harness.attributes(id, 'x-n'), [
    customAttribute('x-n', 'one', 1),
    customAttribute('x-n', 'three', 3),
  ])
  const changed = { uniqueIdentifier: id, attribute: customAttribute('x-n', 'new', 3) }
  assert.deepEqual((await harness.ok('ModifyAttribute', changed)).attribute, changed.attribute)
  await harness.fails(
    'ModifyAttribute',
    { uniqueIdentifier: id, attribute: customAttribute('x-n', 'new') },
    'ItemNotFound',
  )
  await harness.fails(
    'DeleteAttribute',
    { uniqueIdentifier: id, attributeName: 'x-n', attributeIndex: 0 },
    'ItemNotFound',
  )
  await remove(1)
  await remove(3)
  assert.deepEqual(await harness.attributes(id, 'x-n'), [])
  assert.equal((await add('again')).attributeIndex, undefined, 'after the last one it begins anew')
})

test('KMIP 1.0 wants the index in the answers about one attribute', async () => {
  const harness = new Harness()
  const id = await harness.create()
  const request = { uniqueIdentifier: id, attribute: customAttribute('x-a', 'b') }
  assert.equal((await harness.ok('AddAttribute', request, v1_0)).attribute.attributeIndex, 0)
  assert.equal((await harness.ok('ModifyAttribute', request, v1_0)).attribute.attributeIndex, 0)
  assert.equal((await harness.ok('ModifyAttribute', request, v1_1)).attribute.attributeIndex, undefined)
  const given = { uniqueIdentifier: id, attribute: customAttribute('x-a', 'c', 0) }
  assert.deepEqual(
    (await harness.ok('ModifyAttribute', given, v1_2)).attribute,
    given.attribute,
    'as Synology sends it',
  )
})

test('the reasons for refusals are those of the standard', async () => {
  const harness = new Harness()
  const id = await harness.create([attribute('Activation Date', past), attribute('Contact Information', 'me')])
  const uniqueIdentifier = id
  const add = (given: Attribute, reason: Parameters<Harness['fails']>[2]) =>
    harness.fails('AddAttribute', { uniqueIdentifier, attribute: given }, reason)
  const modify = (given: Attribute, reason: Parameters<Harness['fails']>[2]) =>
    harness.fails('ModifyAttribute', { uniqueIdentifier, attribute: given }, reason)
  const remove = (attributeName: string, reason: Parameters<Harness['fails']>[2]) =>
    harness.fails('DeleteAttribute', { uniqueIdentifier, attributeName }, reason)

  await add(customAttribute('x-a', 'b', 0), 'InvalidField')
  await add(attribute('Contact Information', 'you'), 'IllegalOperation')
  await add(attribute('Cryptographic Length', 128), 'IllegalOperation')
  await add(attribute('State', 'Active'), 'PermissionDenied')
  await add(customAttribute('y-server', 'b'), 'PermissionDenied')
  await add({ attributeName: 'Nonsense', attributeValue: { type: 'Integer', value: 1 } }, 'InvalidField')
  await add(attribute('Certificate Type', 'X_509'), 'InvalidField')

  await modify(attribute('Activation Date', future), 'PermissionDenied')
  await modify(attribute('Cryptographic Usage Mask', 4), 'PermissionDenied')
  await modify(attribute('State', 'PreActive'), 'PermissionDenied')
  await modify(customAttribute('y-server', 'b'), 'PermissionDenied')
  await modify(customAttribute('x-never', 'b'), 'InvalidField')
  await modify(attribute('Contact Information', 'you', 1), 'ItemNotFound')

  await remove('State', 'PermissionDenied')
  await remove('Cryptographic Algorithm', 'PermissionDenied')
  await remove('y-server', 'PermissionDenied')
  await remove('x-never', 'ItemNotFound')

  for (const given of [attribute('State', 'Active'), attribute('Initial Date', past), customAttribute('y-a', 'b')]) {
    await harness.fails('Create', createRequest([given]), 'InvalidField')
  }
  await harness.fails('Create', createRequest([attribute('Cryptographic Length', 128)]), 'InvalidField')
  const named = { attributeName: ['State', 'State'], uniqueIdentifier }
  await harness.fails('GetAttributes', named, 'InvalidMessage')
  await harness.fails(
    'Locate',
    { attribute: [{ ...customAttribute('x-a', 'b'), attributeName: 'Nonsense' }] },
    'InvalidField',
  )
})

test('names are unique among a client’s objects, until their object is destroyed', async () => {
  const harness = new Harness()
  const name = attribute('Name', { nameValue: 'the key', nameType: 'UninterpretedTextString' })
  const id = await harness.create([name])
  await harness.fails('Create', createRequest([name]), 'InvalidField')
  const second = await harness.create()
  await harness.fails('AddAttribute', { uniqueIdentifier: second, attribute: name }, 'IllegalOperation')
  const otherName = attribute('Name', { nameValue: 'another', nameType: 'UninterpretedTextString' })
  await harness.ok('AddAttribute', { uniqueIdentifier: second, attribute: otherName })
  await harness.fails('ModifyAttribute', { uniqueIdentifier: second, attribute: name }, 'IllegalOperation')
  await harness.ok('ModifyAttribute', { uniqueIdentifier: id, attribute: name })
  await harness.ok('Destroy', { uniqueIdentifier: id })
  await harness.ok('ModifyAttribute', { uniqueIdentifier: second, attribute: name })
  assert.deepEqual(await harness.locate(name), [second])
})

test('no answer has what the version of its request does not know', async () => {
  const harness = new Harness()
  const id = await harness.create([
    attribute('Comment', 'of 1.4'),
    attribute('Cryptographic Parameters', { blockCipherMode: 'GCM', tagLength: 16, initialCounterValue: 1 }),
  ])
  const uniqueIdentifier = id
  for (const version of [v1_0, v1_1, v1_2, v1_3, v1_4]) {
    // Encoding an answer refuses whatever is newer than its version, so the names are what is left to look at.
    const { attribute: found } = await harness.ok('GetAttributes', { uniqueIdentifier, attributeName: [] }, version)
    const { attributeName: listed } = await harness.ok('GetAttributeList', { uniqueIdentifier }, version)
    for (const name of [...found.map(({ attributeName }) => attributeName), ...listed]) {
      const { since } = standardAttributes[name as StandardAttributeName]
      assert.ok(since.minor <= version.minor, `${name} in 1.${version.minor}`)
    }
    const [parameters] = await harness.attributes(id, 'Cryptographic Parameters', version)
    assert.equal('tagLength' in Object(parameters?.attributeValue), version.minor >= 2)
    assert.equal(listed.includes('Comment'), version.minor >= 4)
    const commented = await harness.item('Create', createRequest([attribute('Comment', 'x')]), version)
    assert.equal(commented.resultReason, version.minor >= 4 ? undefined : 'InvalidField')
  }
  const [digest] = await harness.attributes(id, 'Digest', v1_0)
  assert.ok(!('keyFormatType' in Object(digest?.attributeValue)))
})

test('an activation date that is set to the past activates', async () => {
  const harness = new Harness()
  const id = await harness.create([attribute('Activation Date', future)])
  await harness.ok('ModifyAttribute', { uniqueIdentifier: id, attribute: attribute('Activation Date', past) })
  assert.equal(await harness.state(id), 'Active')
  await harness.ok('AddAttribute', { uniqueIdentifier: id, attribute: attribute('Deactivation Date', past) })
  assert.equal(await harness.state(id), 'Deactivated')
  await harness.fails(
    'ModifyAttribute',
    { uniqueIdentifier: id, attribute: attribute('Deactivation Date', future) },
    'PermissionDenied',
  )
})

test('labels can be changed in every state but destroyed', async () => {
  const harness = new Harness()
  const id = await harness.create([customAttribute('x-a', 'b')])
  const label = itemOf('ModifyAttribute', { uniqueIdentifier: id, attribute: customAttribute('x-a', 'c') })
  const steps = [
    itemOf('Activate', { uniqueIdentifier: id }),
    itemOf('Revoke', { uniqueIdentifier: id, revocationReason: { revocationReasonCode: 'Superseded' } }),
    itemOf('Revoke', { uniqueIdentifier: id, revocationReason: { revocationReasonCode: 'KeyCompromise' } }),
  ]
  for (const step of steps) {
    for (const item of (await harness.send([label, step])).batchItem) assert.equal(item.resultStatus, 'Success')
  }
  assert.equal((await harness.send([label])).batchItem[0]?.resultStatus, 'Success')
  await harness.ok('Destroy', { uniqueIdentifier: id })
  assert.equal((await harness.send([label])).batchItem[0]?.resultReason, 'PermissionDenied')
})
