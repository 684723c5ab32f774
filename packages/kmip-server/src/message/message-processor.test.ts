import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  attribute,
  batchCountMax,
  customAttribute,
  decodeResponse,
  encodeRequest,
  type RequestMessage,
  v1_0,
  v1_1,
  v1_4,
  versions,
} from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'
import type { Version } from '@cryptvisor/ttlv'
import fc from 'fast-check'
import { createRequest, Harness, itemOf, me, other } from '../testing/processor-harness.ts'

type Items = RequestMessage['batchItem']

function requestBytes(batchItem: Items, protocolVersion: Version = v1_4, batchCount = batchItem.length): Uint8Array {
  const known = versions.some(({ major, minor }) => major === protocolVersion.major && minor === protocolVersion.minor)
  const bytes = encodeRequest({
    requestHeader: { protocolVersion: known ? protocolVersion : v1_0, attestationType: [], batchCount },
    batchItem,
  })
  // The version's two Integers follow three structure headers.
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setInt32(32, protocolVersion.major)
  view.setInt32(48, protocolVersion.minor)
  return bytes
}

const discover = itemOf('DiscoverVersions', { protocolVersion: [] })

/** The one failure without Operation that answers a message of which nothing was carried out. */
async function refusal(harness: Harness, bytes: Uint8Array) {
  const { bytes: answer, isLast } = await harness.processor.answer(bytes, me)
  const { responseHeader, batchItem } = decodeResponse(answer)
  assert.equal(batchItem.length, 1)
  const [item] = batchItem
  assert.equal(item?.operation, undefined)
  assert.equal(item?.resultStatus, 'OperationFailed')
  return { version: responseHeader.protocolVersion, reason: item?.resultReason, text: item?.resultMessage, isLast }
}

test('the version of the header is echoed; one that is not spoken is refused in our own', async () => {
  const harness = new Harness()
  for (const version of versions) {
    const { bytes } = await harness.processor.answer(
      requestBytes([itemOf('Query', { queryFunction: [] })], version),
      me,
    )
    assert.deepEqual(decodeResponse(bytes).responseHeader.protocolVersion, version)
  }
  for (const version of [
    { major: 1, minor: 5 },
    { major: 2, minor: 0 },
    { major: 0, minor: 9 },
    { major: 1, minor: -1 },
  ]) {
    const refused = await refusal(harness, requestBytes([discover], version))
    assert.deepEqual([refused.version, refused.reason, refused.isLast], [v1_4, 'InvalidMessage', false])
    assert.match(refused.text ?? '', /is not spoken here, but 1\.4, 1\.3, 1\.2, 1\.1, 1\.0/)
  }
})

test('DiscoverVersions gives ours, or what is common', async () => {
  const harness = new Harness()
  const discovered = async (protocolVersion: readonly Version[]) =>
    (await harness.ok('DiscoverVersions', { protocolVersion }, v1_1)).protocolVersion
  assert.deepEqual(await discovered([]), versions)
  assert.deepEqual(await discovered([v1_0, { major: 2, minor: 0 }, v1_1]), [v1_1, v1_0])
  assert.deepEqual(await discovered([{ major: 3, minor: 0 }]), [])
  const item = await harness.item('DiscoverVersions', { protocolVersion: [] }, v1_0)
  assert.equal(item.resultReason, 'OperationNotSupported', 'there is none in 1.0')
})

test('a broken message is answered, and the connection is not to be used further', async () => {
  const harness = new Harness()
  const good = requestBytes([itemOf('Create', createRequest())])
  const announced = await refusal(harness, requestBytes([discover, discover] as Items, v1_1, 1))
  assert.deepEqual([announced.reason, announced.isLast], ['InvalidMessage', true])
  assert.match(announced.text ?? '', /announces 1 batch items, and there are 2/)
  for (const bytes of [good.subarray(0, 8), good.subarray(0, 100), Uint8Array.of(1, 2, 3), new Uint8Array()]) {
    const refused = await refusal(harness, bytes)
    assert.deepEqual([refused.reason, refused.isLast], ['InvalidMessage', true])
  }
  assert.deepEqual(harness.store.audit.map(({ operation, resultStatus }) => [operation, resultStatus])[0], [
    null,
    'OperationFailed',
  ])
})

test('no bytes bring the server down, and every answer can be read', async () => {
  const harness = new Harness()
  const good = requestBytes([itemOf('Create', createRequest([customAttribute('x-a', 'b')]))])
  const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(good.length), async (changes, length) => {
      const bytes = Uint8Array.from(good)
      for (const [at, value] of changes) bytes[at] = value
      const { bytes: answer } = await harness.processor.answer(
        bytes.subarray(0, length > 40 ? bytes.length : length),
        me,
      )
      assert.equal(decodeResponse(answer).batchItem.length, 1)
    }),
    { numRuns: 400 },
  )
  assert.deepEqual(
    harness.events.filter(({ kind }) => kind === 'internal-error'),
    [],
  )
})

test('a payload that is broken fails alone', async () => {
  const harness = new Harness()
  const bytes = requestBytes([itemOf('Get', { uniqueIdentifier: 'a name with just 24 bytes' })])
  // The Unique Identifier becomes an Integer.
  const at = Buffer.from(bytes).indexOf(Buffer.from('42009407', 'hex'))
  bytes[at + 3] = 2
  const { bytes: answer, isLast } = await harness.processor.answer(bytes, me)
  const [item] = decodeResponse(answer).batchItem
  assert.deepEqual([item?.operation, item?.resultReason, isLast], ['Get', 'InvalidMessage', false])
  assert.match(item?.resultMessage ?? '', /uniqueIdentifier/)
})

test('Stop is the default, Continue goes on, Undo takes back', async () => {
  const create = itemOf('Create', createRequest([customAttribute('x-batch', 'yes')]))
  const failing = itemOf('Get', { uniqueIdentifier: 'missing' })
  const statuses = async (option: 'Stop' | 'Continue' | 'Undo' | undefined) => {
    const harness = new Harness()
    const header = option === undefined ? {} : { batchErrorContinuationOption: option }
    const { batchItem, responseHeader } = await harness.send([create, failing, create], header)
    assert.equal(responseHeader.batchCount, batchItem.length)
    for (const [index, item] of batchItem.entries()) assert.deepEqual(item.uniqueBatchItemId, Uint8Array.of(index + 1))
    const located = await harness.locate(customAttribute('x-batch', 'yes'))
    const audited = harness.store.audit.map(({ resultStatus }) => resultStatus)
    return {
      answers: batchItem.map((item) => item.resultStatus),
      located: located.length,
      audited: audited.slice(0, -1),
    }
  }
  const stopped = { answers: ['Success', 'OperationFailed'], located: 1, audited: ['Success', 'OperationFailed'] }
  assert.deepEqual(await statuses(undefined), stopped)
  assert.deepEqual(await statuses('Stop'), stopped)
  const all = ['Success', 'OperationFailed', 'Success']
  assert.deepEqual(await statuses('Continue'), { answers: all, located: 2, audited: all })
  const undone = ['OperationUndone', 'OperationFailed']
  assert.deepEqual(await statuses('Undo'), { answers: undone, located: 0, audited: undone })
})

test('with Undo and no failure all is done', async () => {
  const harness = new Harness()
  const create = itemOf('Create', createRequest([customAttribute('x-batch', 'yes')]))
  const { batchItem } = await harness.send([create, create], { batchErrorContinuationOption: 'Undo' })
  assert.deepEqual(
    batchItem.map(({ resultStatus }) => resultStatus),
    ['Success', 'Success'],
  )
  assert.equal((await harness.locate(customAttribute('x-batch', 'yes'))).length, 2)
})

test('the ID Placeholder goes from item to item, and not further', async () => {
  const harness = new Harness()
  const activate = itemOf('Activate', {})
  const label = itemOf('AddAttribute', { attribute: customAttribute('x-label', 'one') })
  const made = await harness.send([itemOf('Create', createRequest()), label, activate, itemOf('Get', {})])
  for (const item of made.batchItem) assert.equal(item.resultStatus, 'Success', item.resultMessage)
  const located = itemOf('Locate', { attribute: [customAttribute('x-label', 'one')] })
  const revoke = itemOf('Revoke', { revocationReason: { revocationReasonCode: 'Superseded' } })
  for (const item of (await harness.send([located, revoke])).batchItem) assert.equal(item.resultStatus, 'Success')
  const alone = await harness.item('Activate', {})
  assert.equal(alone.resultReason, 'ItemNotFound')
  // Several hits, or none, leave it empty.
  await harness.create([customAttribute('x-label', 'one')])
  for (const value of ['one', 'none']) {
    const several = itemOf('Locate', { attribute: [customAttribute('x-label', value)] })
    const answer = await harness.send([itemOf('Create', createRequest()), several, activate])
    assert.deepEqual(
      answer.batchItem.map(({ resultReason }) => resultReason),
      [undefined, undefined, 'ItemNotFound'],
    )
  }
})

test('an answer that is too large undoes what it answers', async () => {
  const harness = new Harness()
  const label = customAttribute('x-size', 'yes')
  const create = itemOf('Create', createRequest([label]))
  const tight = await harness.send([create], { maximumResponseSize: 150 })
  assert.deepEqual([tight.batchItem[0]?.operation, tight.batchItem[0]?.resultReason], ['Create', 'ResponseTooLarge'])
  assert.deepEqual(await harness.locate(label), [])
  for (const size of [0, -1, 8]) {
    const none = await harness.send([create], { maximumResponseSize: size })
    assert.equal(none.batchItem[0]?.resultReason, 'ResponseTooLarge')
  }
  const exact = (await harness.processor.answer(requestBytes([create]), me)).bytes.length
  assert.equal((await harness.send([create], { maximumResponseSize: exact })).batchItem[0]?.resultStatus, 'Success')
  assert.equal(
    (await harness.send([create], { maximumResponseSize: exact - 1 })).batchItem[0]?.resultReason,
    'ResponseTooLarge',
  )
})

test('an answer that could not be committed is overwritten and not given out', async (context) => {
  const harness = new Harness()
  const key = Buffer.from('what must not stay in memory')
  using opaqueDataValue = Secret.from(Uint8Array.from(key))
  const { uniqueIdentifier } = await harness.ok('Register', {
    objectType: 'OpaqueObject',
    templateAttribute: { name: [], attribute: [] },
    object: { opaqueDataType: 0x8000_0001, opaqueDataValue },
  })
  const overwritten: number[] = []
  const fill = Uint8Array.prototype.fill
  context.mock.method(Uint8Array.prototype, 'fill', function (this: Uint8Array, ...given: Parameters<typeof fill>) {
    if (given[0] === 0 && Buffer.from(this).includes(key)) overwritten.push(this.length)
    return fill.apply(this, given)
  })
  const get = itemOf('Get', { uniqueIdentifier })
  const answered = await harness.send([get])
  assert.equal(answered.batchItem[0]?.resultStatus, 'Success')
  const itemSize = Math.max(...overwritten)
  assert.ok(itemSize > key.length, 'the item that was sent, not the value alone')
  const committed = harness.store.transaction.bind(harness.store)
  context.mock.method(harness.store, 'transaction', async (run: Parameters<typeof committed>[0]) => {
    await committed(run)
    throw new Error('the disk is full')
  })
  for (const batchErrorContinuationOption of ['Stop', 'Undo'] as const) {
    overwritten.length = 0
    const { batchItem } = await harness.send([get, get], { batchErrorContinuationOption })
    assert.equal(batchItem.at(-1)?.resultReason, 'GeneralFailure')
    assert.ok(batchItem.every((item) => item.resultStatus !== 'Success' && item.responsePayload === undefined))
    assert.ok(overwritten.some((each) => each >= itemSize))
  }
})

test('message extensions, asynchronous indicator, credentials, batch item ids', async () => {
  const harness = new Harness()
  const extension = (criticalityIndicator: boolean) => ({
    ...itemOf('Create', createRequest()),
    messageExtension: {
      vendorIdentification: 'Somebody',
      criticalityIndicator,
      vendorExtension: { type: 'Structure' as const, content: Secret.from(new Uint8Array(0)) },
    },
  })
  assert.equal((await harness.send([extension(false)])).batchItem[0]?.resultStatus, 'Success')
  assert.equal((await harness.send([extension(true)])).batchItem[0]?.resultReason, 'FeatureNotSupported')
  const later = await harness.send([itemOf('Create', createRequest())], { asynchronousIndicator: true })
  assert.equal(later.batchItem[0]?.resultStatus, 'Success', 'able to wait does not mean that we make it wait')
  const credential = {
    credentialType: 'UsernameAndPassword' as const,
    credentialValue: { username: 'Fred', password: Secret.from(Buffer.from('password1')) },
  }
  const named = await harness.send([itemOf('Create', createRequest())], {
    authentication: { credential: [credential] },
  })
  assert.deepEqual(
    [named.batchItem[0]?.operation, named.batchItem[0]?.resultReason],
    [undefined, 'AuthenticationNotSuccessful'],
  )
  const unnumbered = await refusal(harness, requestBytes([discover, discover] as Items))
  assert.deepEqual([unnumbered.reason, unnumbered.isLast], ['InvalidMessage', false])
})

test('an operation that is not there is refused by name or number', async () => {
  const harness = new Harness()
  const payload = { type: 'Structure' as const, content: Secret.from(new Uint8Array(0)) }
  for (const operation of ['Encrypt', 0x8000_0001] as const) {
    const answer = await harness.send([{ operation, requestPayload: payload }])
    assert.deepEqual(
      [answer.batchItem[0]?.operation, answer.batchItem[0]?.resultReason],
      [operation, 'OperationNotSupported'],
    )
  }
  assert.deepEqual(
    harness.store.audit.map(({ operation }) => operation),
    ['Encrypt', '0x80000001'],
  )
})

test('more batch items than are taken are refused before any is carried out', async () => {
  const harness = new Harness()
  const items = Array.from({ length: batchCountMax + 1 }, () => ({ ...discover, uniqueBatchItemId: Uint8Array.of(1) }))
  const refused = await refusal(harness, requestBytes(items as Items))
  assert.equal(refused.reason, 'InvalidMessage')
  assert.equal(harness.store.audit.length, 1)
})

test('another client’s object answers exactly as a missing one, whatever is asked', async () => {
  const harness = new Harness()
  const id = await harness.create([attribute('Activation Date', new Date('2026-05-01T00:00:00Z'))])
  const requests = [
    (uniqueIdentifier: string) => itemOf('Get', { uniqueIdentifier }),
    (uniqueIdentifier: string) => itemOf('GetAttributes', { uniqueIdentifier, attributeName: [] }),
    (uniqueIdentifier: string) => itemOf('GetAttributeList', { uniqueIdentifier }),
    (uniqueIdentifier: string) => itemOf('AddAttribute', { uniqueIdentifier, attribute: customAttribute('x-a', 'b') }),
    (uniqueIdentifier: string) =>
      itemOf('ModifyAttribute', { uniqueIdentifier, attribute: customAttribute('x-a', 'b') }),
    (uniqueIdentifier: string) => itemOf('DeleteAttribute', { uniqueIdentifier, attributeName: 'x-a' }),
    (uniqueIdentifier: string) => itemOf('Activate', { uniqueIdentifier }),
    (uniqueIdentifier: string) => itemOf('Check', { uniqueIdentifier, cryptographicUsageMask: 1 }),
    (uniqueIdentifier: string) => itemOf('Destroy', { uniqueIdentifier }),
    (uniqueIdentifier: string) =>
      itemOf('Revoke', { uniqueIdentifier, revocationReason: { revocationReasonCode: 'Unspecified' } }),
  ]
  for (const request of requests) {
    const [theirs, missing] = [
      await harness.send([request(id)], {}, other),
      await harness.send([request('id-none')], {}, other),
    ]
    assert.equal(theirs.batchItem[0]?.resultReason, 'ItemNotFound')
    assert.deepEqual(theirs.batchItem, missing.batchItem)
  }
  assert.deepEqual((await harness.ok('Locate', { attribute: [] }, v1_4, other)).uniqueIdentifier, [])
  // The audit tells them no more than the answer does.
  const records = harness.store.audit.filter(({ client }) => client === 'other')
  assert.ok(records.every(({ objectId }) => objectId === null))
})
