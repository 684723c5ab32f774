import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { TtlvError, type Version } from '@cryptvisor/ttlv'
import {
  attribute,
  attributeValue,
  customAttribute,
  decodeRequest,
  decodeResponse,
  dumpRequest,
  encodeRequest,
  encodeResponse,
  isDeclaredRequest,
  KmipError,
  type RequestMessage,
  requestVersion,
  v1_0,
  v1_1,
  v1_4,
} from '../index.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/[\s|]/g, ''), 'hex'))

function request(version: Version, batchItem: RequestMessage['batchItem'], more: object = {}): RequestMessage {
  return {
    requestHeader: { protocolVersion: version, attestationType: [], batchCount: batchItem.length, ...more },
    batchItem,
  }
}

function refuses(bytes: Uint8Array, code: string, message: RegExp): void {
  assert.throws(
    () => decodeRequest(bytes),
    (error) => {
      assert.ok(error instanceof KmipError)
      assert.equal(error.code, code)
      assert.match(error.message, message)
      return true
    },
  )
}

/** What vCenter 7.0.3 sends to have a key made: header of 1.1, an ID of its client library, attributes in this order. */
const vcenterCreate = hex(`
  42007801 00000130
    42007701 00000038
      42006901 00000020 42006a02 00000004 0000000100000000 42006b02 00000004 0000000100000000
      42000d02 00000004 0000000100000000
    42000f01 000000e8
      42005c05 00000004 0000000100000000
      42009308 00000008 514c4b4301000000
      42007901 000000c0
        42005705 00000004 0000000200000000
        42009101 000000a8
          42000801 00000030
            42000a07 00000017 43727970746f6772617068696320416c676f726974686d 00
            42000b05 00000004 0000000300000000
          42000801 00000030
            42000a07 00000018 43727970746f67726170686963205573616765204d61736b
            42000b02 00000004 0000000c00000000
          42000801 00000030
            42000a07 00000014 43727970746f67726170686963204c656e677468 00000000
            42000b02 00000004 0000010000000000
`)

test('what vCenter sends is understood, and would be sent the same', () => {
  assert.deepEqual(requestVersion(vcenterCreate), v1_1)
  const message = decodeRequest(vcenterCreate)
  const [item] = message.batchItem
  assert.ok(item !== undefined && isDeclaredRequest(item) && item.operation === 'Create')
  assert.equal(Buffer.from(item.uniqueBatchItemId ?? []).toString('latin1'), 'QLKC\x01\0\0\0')
  assert.ok(!(item.requestPayload instanceof TtlvError))
  const { templateAttribute } = item.requestPayload
  assert.equal(attributeValue(templateAttribute.attribute, 'Cryptographic Algorithm'), 'AES')
  assert.equal(attributeValue(templateAttribute.attribute, 'Cryptographic Usage Mask'), 12)
  assert.equal(attributeValue(templateAttribute.attribute, 'Cryptographic Length'), 256)
  assert.equal(attributeValue(templateAttribute.attribute, 'Name'), undefined)
  assert.deepEqual(encodeRequest(message), vcenterCreate)
})

test('a message without a known version is invalid as a whole', () => {
  const other = (major: number, minor: number) => {
    const bytes = Uint8Array.from(vcenterCreate)
    bytes[35] = major
    bytes[51] = minor
    return bytes
  }
  refuses(other(2, 0), 'InvalidMessage', /2\.0 is not supported; known are 1\.4, 1\.3, 1\.2, 1\.1, 1\.0/)
  refuses(new Uint8Array(0), 'InvalidMessage', /no header/)
  refuses(vcenterCreate.subarray(0, 40), 'InvalidMessage', /no header/)
  assert.deepEqual(decodeRequest(other(1, 9)).requestHeader.protocolVersion, { major: 1, minor: 9 })
})

test('a later minor version may have fields that we do not know', () => {
  const version = { major: 1, minor: 5 }
  const message = request(version, [{ operation: 'Get', requestPayload: { uniqueIdentifier: 'a' } }])
  const unknown = hex('4200ff02 00000004 0000000100000000')
  const bytes = encodeRequest(message)
  const longer = Uint8Array.from([...bytes, ...unknown])
  // The lengths of the message, its batch item and that one's payload.
  new DataView(longer.buffer).setUint32(4, longer.length - 8)
  for (const offset of [76, 100]) {
    const view = new DataView(longer.buffer)
    view.setUint32(offset, view.getUint32(offset) + 16)
  }
  assert.deepEqual(decodeRequest(longer), message)
  longer[51] = 4
  const [item] = decodeRequest(longer).batchItem
  assert.ok(item?.requestPayload instanceof TtlvError)
  assert.equal(KmipError.from(item.requestPayload).code, 'InvalidField')
})

test('the batch count counts', () => {
  const item = { operation: 'Query', requestPayload: { queryFunction: [] } } as const
  refuses(encodeRequest(request(v1_4, [item, item], { batchCount: 1 })), 'InvalidMessage', /announces 1 .* there are 2/)
  refuses(encodeRequest(request(v1_4, [], { batchCount: 0 })), 'InvalidMessage', /0 batch items/)
  const many = Array.from({ length: 1001 }, () => item)
  refuses(encodeRequest(request(v1_4, many)), 'InvalidMessage', /1001 batch items/)
})

test('a field of a later version is refused, on the way in and out', () => {
  const query = { operation: 'Query', requestPayload: { queryFunction: [] } } as const
  assert.throws(() => encodeRequest(request(v1_1, [query], { clientCorrelationValue: 'a' })), {
    code: 'not-in-version',
    path: 'requestHeader.clientCorrelationValue',
  })
  const bytes = encodeRequest(request(v1_4, [query], { clientCorrelationValue: 'a' }))
  bytes[51] = 1
  refuses(bytes, 'InvalidField', /requestHeader\.clientCorrelationValue: does not exist in version 1\.1/)
})

test('a broken payload is its own item’s fault', () => {
  const bytes = encodeRequest(
    request(v1_1, [
      { operation: 'Activate', uniqueBatchItemId: Uint8Array.of(1), requestPayload: { uniqueIdentifier: 'abcdefgh' } },
      { operation: 'Activate', uniqueBatchItemId: Uint8Array.of(2), requestPayload: { uniqueIdentifier: 'abcdefgh' } },
    ]),
  )
  bytes[bytes.indexOf(0x61)] = 0xff
  const [first, second] = decodeRequest(bytes).batchItem
  assert.ok(first?.requestPayload instanceof TtlvError)
  assert.equal(first.requestPayload.path, 'uniqueIdentifier')
  assert.deepEqual(second?.requestPayload, { uniqueIdentifier: 'abcdefgh' })
})

test('an operation that is not declared, or has no name, is kept', () => {
  for (const operation of ['Encrypt', 0x80000001] as const) {
    using content = Secret.from(hex('4200c208 00000008 7365637265742121'))
    const message = request(v1_4, [{ operation, requestPayload: { type: 'Structure', content } }])
    const bytes = encodeRequest(message)
    const decoded = decodeRequest(bytes)
    const [item] = decoded.batchItem
    assert.ok(item !== undefined && !isDeclaredRequest(item))
    assert.equal(item.operation, operation)
    assert.deepEqual(encodeRequest(decoded), bytes)
    assert.ok(!dumpRequest(decoded).includes('secret!!'))
  }
})

test('a request without an operation is invalid, to read and to write', () => {
  const withoutOperation = hex(`
    42007801 00000060
      42007701 00000038
        42006901 00000020 42006a02 00000004 0000000100000000 42006b02 00000004 0000000400000000
        42000d02 00000004 0000000100000000
      42000f01 00000018
        42009308 00000001 0100000000000000
        42007901 00000000
  `)
  refuses(withoutOperation, 'InvalidMessage', /^batchItem\[0\]\.operation: is missing/)
  const batchItem = [{ requestPayload: { uniqueIdentifier: 'x' } }] as unknown as RequestMessage['batchItem']
  assert.throws(() => encodeRequest(request(v1_4, batchItem)), {
    code: 'missing-field',
    path: 'batchItem[0].operation',
  })
})

test('passwords and keys are not shown', () => {
  using password = Secret.from(new TextEncoder().encode('hunter2-hunter2'))
  using key = Secret.from(new TextEncoder().encode('sixteen byte key'))
  const message = request(
    v1_0,
    [
      {
        operation: 'Register',
        requestPayload: {
          objectType: 'SymmetricKey',
          templateAttribute: { name: [], attribute: [customAttribute('x-Note', 'shown')] },
          object: {
            keyBlock: {
              keyFormatType: 'TransparentSymmetricKey',
              keyValue: { keyMaterial: { key }, attribute: [attribute('Object Group', 'shown too')] },
              cryptographicAlgorithm: 'AES',
              cryptographicLength: 128,
            },
          },
        },
      },
    ],
    {
      authentication: {
        credential: [{ credentialType: 'UsernameAndPassword', credentialValue: { username: 'fred', password } }],
      },
    },
  )
  const bytes = encodeRequest(message)
  const shown = dumpRequest(decodeRequest(bytes))
  assert.ok(!/hunter2|sixteen|68756e746572|7369787465656e/.test(shown))
  for (const part of ['fred', 'shown', 'shown too', '[secret, 15 bytes]', '[secret, 16 bytes]']) {
    assert.ok(shown.includes(part), part)
  }
})

test('an answer to a message that could not be read has no operation', () => {
  const message = {
    responseHeader: { protocolVersion: v1_0, timeStamp: new Date(0), attestationType: [], batchCount: 1 },
    batchItem: [{ resultStatus: 'OperationFailed', resultReason: 'InvalidMessage', resultMessage: 'no' }],
  } as const
  assert.deepEqual(decodeResponse(encodeResponse(message)), message)
})
