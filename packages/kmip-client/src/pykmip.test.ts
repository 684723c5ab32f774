import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  attribute,
  attributeValue,
  CryptographicUsageMask,
  customAttribute,
  formatVersion,
  type RequestOf,
} from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'
import { PykmipServer, pykmipSkip, temporaryFolder } from '@cryptvisor/testkit'
import { wipe } from '@cryptvisor/ttlv'
import { KmipClient, KmipClientError } from './index.ts'

const mask = CryptographicUsageMask.Encrypt | CryptographicUsageMask.Decrypt

function aesKey(name?: string): RequestOf<'Create'> {
  return {
    objectType: 'SymmetricKey',
    templateAttribute: {
      name: [],
      attribute: [
        attribute('Cryptographic Algorithm', 'AES'),
        attribute('Cryptographic Length', 256),
        attribute('Cryptographic Usage Mask', mask),
        ...(name === undefined ? [] : [attribute('Name', { nameValue: name, nameType: 'UninterpretedTextString' })]),
      ],
    },
  }
}

test('the life of a key on PyKMIP’s server', { skip: pykmipSkip }, async (context) => {
  await using server = await PykmipServer.start(temporaryFolder(context))
  const traces: string[] = []
  await using client = new KmipClient({ ...server.options, trace: (text) => traces.push(text) })
  assert.equal(formatVersion(await client.negotiate()), '1.4')

  const { operation, vendorIdentification } = await client.query({
    queryFunction: ['QueryOperations', 'QueryObjects', 'QueryServerInformation'],
  })
  assert.ok(operation.includes('Create') && !operation.includes('AddAttribute'))
  assert.match(vendorIdentification ?? '', /PyKMIP/)

  const created = await client.create(aesKey('first'))
  const { uniqueIdentifier } = created
  await client.activate({ uniqueIdentifier })

  const { attribute: attributes } = await client.getAttributes({ uniqueIdentifier, attributeName: [] })
  assert.equal(attributeValue(attributes, 'State'), 'Active')
  assert.equal(attributeValue(attributes, 'Cryptographic Length'), 256)
  assert.deepEqual(attributeValue(attributes, 'Name'), { nameValue: 'first', nameType: 'UninterpretedTextString' })
  const { attributeName } = await client.getAttributeList({ uniqueIdentifier })
  assert.ok(attributeName.includes('Cryptographic Usage Mask'))

  const got = await client.get({ uniqueIdentifier })
  assert.ok(got.objectType === 'SymmetricKey' && got.object.keyBlock.keyFormatType === 'Raw')
  const { keyValue } = got.object.keyBlock
  assert.ok(keyValue !== undefined && !(keyValue instanceof Secret))
  assert.equal(keyValue.keyMaterial.sizeBytes, 32)
  assert.equal(got.object.keyBlock.cryptographicAlgorithm, 'AES')
  const shown = traces.join('\n')
  keyValue.keyMaterial.expose((bytes) => {
    assert.ok(!shown.includes(Buffer.from(bytes).toString('hex')))
  })
  assert.ok(shown.includes('KeyMaterial ByteString [secret, 32 bytes]'))
  wipe(got)

  const named = attribute('Name', { nameValue: 'first', nameType: 'UninterpretedTextString' })
  assert.deepEqual((await client.locate({ attribute: [named] })).uniqueIdentifier, [uniqueIdentifier])
  const none = attribute('Name', { nameValue: 'none', nameType: 'UninterpretedTextString' })
  assert.deepEqual((await client.locate({ attribute: [none] })).uniqueIdentifier, [])

  await assert.rejects(client.destroy({ uniqueIdentifier }), {
    code: 'operation-failed',
    resultReason: 'PermissionDenied',
  })
  await client.revoke({ uniqueIdentifier, revocationReason: { revocationReasonCode: 'CessationOfOperation' } })
  await client.destroy({ uniqueIdentifier })
  await assert.rejects(client.get({ uniqueIdentifier }), { code: 'operation-failed', resultReason: 'ItemNotFound' })
})

test('secrets go there and come back the same', { skip: pykmipSkip }, async (context) => {
  await using server = await PykmipServer.start(temporaryFolder(context))
  const { options } = server
  await using client = new KmipClient(options)
  using key = Secret.random(32)
  using password = Secret.from(new TextEncoder().encode('correct horse'))
  const symmetric = await client.register({
    objectType: 'SymmetricKey',
    templateAttribute: { name: [], attribute: [attribute('Cryptographic Usage Mask', mask)] },
    object: {
      keyBlock: {
        keyFormatType: 'Raw',
        keyValue: { keyMaterial: key, attribute: [] },
        cryptographicAlgorithm: 'AES',
        cryptographicLength: 256,
      },
    },
  })
  const data = await client.register({
    objectType: 'SecretData',
    templateAttribute: { name: [], attribute: [attribute('Cryptographic Usage Mask', 0)] },
    object: {
      secretDataType: 'Password',
      keyBlock: { keyFormatType: 'Opaque', keyValue: { keyMaterial: password, attribute: [] } },
    },
  })
  // Several operations in one message, each with its own answer.
  const [first, second, third] = await client.request(
    [
      { operation: 'Get', payload: { uniqueIdentifier: symmetric.uniqueIdentifier } },
      { operation: 'Get', payload: { uniqueIdentifier: 'nobody' } },
      { operation: 'Get', payload: { uniqueIdentifier: data.uniqueIdentifier } },
    ],
    { batchErrorContinuationOption: 'Continue' },
  )
  assert.ok(second instanceof KmipClientError)
  assert.equal(second.resultReason, 'ItemNotFound')
  assert.ok(!(first instanceof KmipClientError) && first.objectType === 'SymmetricKey')
  assert.ok(!(third instanceof KmipClientError) && third.objectType === 'SecretData')
  const materials = [first, third].map(({ object: { keyBlock } }) => {
    assert.ok(keyBlock.keyFormatType === 'Raw' || keyBlock.keyFormatType === 'Opaque')
    assert.ok(keyBlock.keyValue !== undefined && !(keyBlock.keyValue instanceof Secret))
    return keyBlock.keyValue.keyMaterial
  })
  assert.ok(materials[0]?.equal(key) && materials[1]?.equal(password))
  wipe([first, third])
})

test('a refused AddAttribute is an answer, and the connection goes on', { skip: pykmipSkip }, async (context) => {
  await using server = await PykmipServer.start(temporaryFolder(context))
  const { options } = server
  await using client = new KmipClient(options)
  const { uniqueIdentifier } = await client.create(aesKey())
  const items = [
    { operation: 'AddAttribute', payload: { uniqueIdentifier, attribute: customAttribute('x-Vendor', 'a') } },
    { operation: 'AddAttribute', payload: { uniqueIdentifier, attribute: customAttribute('x-Product', 'b') } },
  ] as const
  await assert.rejects(client.request(items), (error) => {
    assert.ok(error instanceof KmipClientError)
    assert.equal(error.code, 'operation-failed')
    assert.deepEqual(
      { reason: error.resultReason, whole: error.refusal?.isWholeMessage },
      { reason: 'InvalidMessage', whole: true },
    )
    return true
  })
  await client.activate({ uniqueIdentifier })
})
