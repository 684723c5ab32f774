import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  type Attribute,
  attribute,
  customAttribute,
  type DeclaredRequestBatchItem,
  isDeclaredRequest,
  type RequestMessage,
  type ResponseBatchItem,
  type ResultReason,
  v1_4,
} from '@cryptvisor/kmip'
import { type ScriptedServer, startScriptedServer } from '@cryptvisor/kmip-client/testing'
import { Secret } from '@cryptvisor/secret'
import { TtlvError } from '@cryptvisor/ttlv'
import { type KeyProviderErrorCode, StandardKeyProvider } from './index.ts'

/** A provider over a server that does with each operation what the test says, and takes so many in a message. */
async function setUp(context: TestContext, act: (item: DeclaredRequestBatchItem) => object, batchCountMax = 100) {
  const respond = (request: RequestMessage): ResponseBatchItem[] =>
    request.batchItem.length > batchCountMax ? [failure('InvalidMessage')] : request.batchItem.map(respondTo)
  const respondTo = (item: RequestMessage['batchItem'][number]): ResponseBatchItem => {
    assert.ok(isDeclaredRequest(item))
    const { operation, uniqueBatchItemId } = item
    const outcome = operation === 'DiscoverVersions' ? success({ protocolVersion: [v1_4] }) : act(item)
    // The test gives a payload of the operation's own.
    return { operation, ...(uniqueBatchItemId && { uniqueBatchItemId }), ...outcome } as ResponseBatchItem
  }
  const server = await startScriptedServer(context, (request) => {
    const batchItem = respond(request)
    const { protocolVersion } = request.requestHeader
    const timeStamp = new Date(0)
    return {
      responseHeader: { protocolVersion, timeStamp, attestationType: [], batchCount: batchItem.length },
      batchItem,
    }
  })
  const provider = new StandardKeyProvider({
    id: 'kms',
    servers: [{ ...server.options, name: 'one' }],
    failoverLimits: { roundsMax: 1 },
  })
  context.after(() => provider[Symbol.asyncDispose]())
  return { server, provider }
}

const success = (responsePayload: object) => ({ resultStatus: 'Success', responsePayload })
const failure = (resultReason: ResultReason) => ({ resultStatus: 'OperationFailed', resultReason }) as const

/** The operations that were asked for, with their payloads, without the negotiation. */
function asked(server: ScriptedServer): unknown[][] {
  return server.requests
    .map(({ batchItem }: RequestMessage) =>
      batchItem.map(({ operation, requestPayload }) => [operation, requestPayload]),
    )
    .filter(([first]) => first?.[0] !== 'DiscoverVersions')
}

test('a key is asked for as vCenter does, without a name', async (context) => {
  const { server, provider } = await setUp(context, () =>
    success({ objectType: 'SymmetricKey', uniqueIdentifier: 'k' }),
  )
  assert.equal(await provider.createKey(), 'k')
  const attributes = [
    attribute('Cryptographic Algorithm', 'AES'),
    attribute('Cryptographic Usage Mask', 12),
    attribute('Cryptographic Length', 256),
  ]
  assert.deepEqual(asked(server), [
    [['Create', { objectType: 'SymmetricKey', templateAttribute: { name: [], attribute: attributes } }]],
  ])
})

test('an ID that cannot be kept is refused', async (context) => {
  let uniqueIdentifier = ''
  const { provider } = await setUp(context, () => success({ objectType: 'SymmetricKey', uniqueIdentifier }))
  for (uniqueIdentifier of ['', 'a\nb', 'a'.repeat(256)]) {
    await assert.rejects(provider.createKey(), { code: 'protocol' })
  }
  await assert.rejects(provider.getKey('\ud800'), { code: 'protocol' })
})

test('labels that are missing are added, others changed, in one message without indexes', async (context) => {
  const present: Attribute[] = [customAttribute('x-Vendor', 'same', 0), customAttribute('x-Name', 'old', 0)]
  const { server, provider } = await setUp(context, ({ operation, requestPayload }) => {
    if (operation === 'GetAttributes') return success({ uniqueIdentifier: 'k', attribute: present })
    assert.ok(!(requestPayload instanceof TtlvError) && 'attribute' in requestPayload)
    return success({ uniqueIdentifier: 'k', attribute: requestPayload.attribute })
  })
  await provider.labelKey('k', { 'x-Vendor': 'same', 'x-Name': 'new', 'x-Product': 'p', 'x-Component': 'c' })
  const payload = (name: `x-${string}`, value: string) => ({
    uniqueIdentifier: 'k',
    attribute: customAttribute(name, value),
  })
  const attributeName = ['x-Vendor', 'x-Name', 'x-Product', 'x-Component']
  assert.deepEqual(asked(server), [
    [['GetAttributes', { uniqueIdentifier: 'k', attributeName }]],
    [
      ['ModifyAttribute', payload('x-Name', 'new')],
      ['AddAttribute', payload('x-Product', 'p')],
      ['AddAttribute', payload('x-Component', 'c')],
    ],
  ])
  await provider.labelKey('k', { 'x-Vendor': 'same' })
  assert.equal(asked(server).length, 3, 'nothing is sent when all is there')
})

const labelRefusals: readonly (readonly [ResultReason, KeyProviderErrorCode])[] = [
  ['OperationNotSupported', 'labels-refused'],
  ['InvalidField', 'labels-refused'],
  ['PermissionDenied', 'labels-refused'],
  ['ItemNotFound', 'key-missing'],
]

test('a server that knows no custom attributes refuses labels', async (context) => {
  let reason: ResultReason = 'GeneralFailure'
  const { provider } = await setUp(context, ({ operation }) =>
    operation === 'GetAttributes' ? failure('InvalidField') : failure(reason),
  )
  for (const [refusal, code] of labelRefusals) {
    reason = refusal
    await assert.rejects(provider.labelKey('k', { 'x-Vendor': 'a' }), { code, keyId: 'k', server: 'one' })
  }
})

const refusals: readonly (readonly [ResultReason, KeyProviderErrorCode])[] = [
  ['ItemNotFound', 'key-missing'],
  ['ObjectNotFound', 'key-missing'],
  ['ObjectDestroyed', 'key-missing'],
  ['PermissionDenied', 'denied'],
  ['NotAuthorised', 'denied'],
  ['AuthenticationNotSuccessful', 'denied'],
  ['Sensitive', 'key-unusable'],
  ['ObjectArchived', 'key-unusable'],
]

test('a refusal has its meaning', async (context) => {
  let reason: ResultReason = 'GeneralFailure'
  const { provider } = await setUp(context, () => failure(reason))
  for (const [refusal, code] of refusals) {
    reason = refusal
    await assert.rejects(provider.getKey('k'), { name: 'KeyProviderError', code, keyId: 'k', providerId: 'kms' })
  }
  reason = 'ServerLimitExceeded'
  await assert.rejects(provider.createKey(), {
    code: 'denied',
    message: /kms could not make a key; server one: .*Limit/,
  })
})

function keyAnswer(uniqueIdentifier: string, keyBlock: object): object {
  return success({ objectType: 'SymmetricKey', uniqueIdentifier, object: { keyBlock } })
}

test('what is given instead of the key is not given out', async (context) => {
  const aes = { cryptographicAlgorithm: 'AES', cryptographicLength: 256 }
  const raw = (size: number) => ({
    keyFormatType: 'Raw',
    keyValue: { keyMaterial: Secret.random(size), attribute: [] },
  })
  const answers: readonly (readonly [object, KeyProviderErrorCode, RegExp])[] = [
    [keyAnswer('other', { ...raw(32), ...aes }), 'protocol', /another key/],
    [keyAnswer('k', { ...raw(16), ...aes }), 'key-unusable', /AES of 256 bits in 16 bytes/],
    [keyAnswer('k', { ...raw(32), ...aes, cryptographicLength: 128 }), 'key-unusable', /of 128 bits/],
    [keyAnswer('k', raw(32)), 'key-unusable', /unknown algorithm/],
    [keyAnswer('k', { keyFormatType: 'Raw', keyValue: Secret.random(40), ...aes }), 'key-unusable', /wrapped/],
    [keyAnswer('k', { keyFormatType: 'Raw', ...aes }), 'key-unusable', /without its value/],
    [
      keyAnswer('k', {
        keyFormatType: 'TransparentSymmetricKey',
        keyValue: { keyMaterial: { key: Secret.random(32) }, attribute: [] },
        ...aes,
      }),
      'key-unusable',
      /TransparentSymmetricKey, not Raw/,
    ],
  ]
  let answer: object = {}
  const { provider } = await setUp(context, () => answer)
  for (const [wrong, code, message] of answers) {
    answer = wrong
    await assert.rejects(provider.getKey('k'), { code, message })
  }
  answer = keyAnswer('k', { ...raw(32), ...aes })
  using key = await provider.getKey('k')
  assert.equal(key.sizeBytes, 32)
})

test('a state that forbids it is an error, one that is wanted is not', async (context) => {
  let state: 'PreActive' | 'Active' | 'Deactivated' = 'Active'
  const { provider } = await setUp(context, ({ operation }) =>
    operation === 'GetAttributes'
      ? success({ uniqueIdentifier: 'k', attribute: [attribute('State', state)] })
      : failure('WrongKeyLifecycleState'),
  )
  await provider.activateKey('k')
  await assert.rejects(provider.revokeKey('k', 'cessation-of-operation'), { code: 'key-unusable' })
  await assert.rejects(provider.destroyKey('k'), { code: 'denied' })
  state = 'Deactivated'
  await provider.revokeKey('k', 'cessation-of-operation')
  await assert.rejects(provider.revokeKey('k', 'key-compromise'), { code: 'key-unusable' })
  await assert.rejects(provider.activateKey('k'), { code: 'key-unusable' })
})

test('a server that takes no batches is asked key by key', async (context) => {
  const describe = ({ operation, requestPayload }: DeclaredRequestBatchItem) => {
    if (operation === 'Locate') return success({ uniqueIdentifier: ['a', 'b', 'gone'] })
    assert.ok(!(requestPayload instanceof TtlvError) && 'uniqueIdentifier' in requestPayload)
    const { uniqueIdentifier } = requestPayload
    return uniqueIdentifier === 'gone'
      ? failure('ItemNotFound')
      : success({ uniqueIdentifier, attribute: [attribute('State', 'Active')] })
  }
  for (const [batchCountMax, sizes] of [
    [100, [1, 3]],
    [1, [1, 3, 1, 1, 1]],
  ] as const) {
    const { server, provider } = await setUp(context, describe, batchCountMax)
    const keys = await provider.listKeys({ limit: 10 })
    assert.deepEqual(
      keys.map(({ keyId, state }) => `${keyId} ${state}`),
      ['a Active', 'b Active'],
    )
    assert.deepEqual(
      asked(server).map((items) => items.length),
      sizes,
    )
  }
})

test('a probe that cannot clean up says which key is left over', async (context) => {
  const { provider } = await setUp(context, ({ operation }) => {
    if (operation === 'Create') return success({ objectType: 'SymmetricKey', uniqueIdentifier: 'left' })
    if (operation === 'Query') return success({ operation: [], objectType: [], applicationNamespace: [] })
    return operation === 'GetAttributes'
      ? success({ uniqueIdentifier: 'left', attribute: [attribute('State', 'Active')] })
      : failure('GeneralFailure')
  })
  const status = await provider.probe()
  assert.equal(status.health, 'red')
  assert.match(status.reason, /could not give the key.*key left, made for a test, is left over/)
  assert.equal(status.servers[0]?.health, 'green')
})
