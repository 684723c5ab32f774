import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { TtlvError, wipe } from '@cryptvisor/ttlv'
import fc from 'fast-check'
import {
  decodeRequest,
  decodeResponse,
  dumpRequest,
  dumpResponse,
  encodeRequest,
  encodeResponse,
  isDeclaredRequest,
  KmipError,
} from '../src/index.ts'
import { encodeNode, nodeOf, parseXml, standIn } from '../src/testing/index.ts'

const folder = join(import.meta.dirname, '../../../../shared/vectors/oasis-kmip')
const skip = existsSync(folder) ? false : `the OASIS cases are not in ${folder}`

interface Message {
  readonly where: string
  readonly isRequest: boolean
  readonly bytes: Uint8Array
}

/** Every message of the published cases of one version folder, as TTLV made by the test's own encoder. */
function messagesOf(version: string): Message[] {
  return globSync(`{profiles,testcases}-${version}/**/*.xml`, { cwd: folder })
    .toSorted()
    .flatMap((path) =>
      parseXml(readFileSync(join(folder, path), 'utf8')).children.map((element, index) => ({
        where: `${relative('.', path)}, message ${index}`,
        isRequest: element.name === 'RequestMessage',
        bytes: Uint8Array.from(encodeNode(nodeOf(element), standIn)),
      })),
    )
}

const expected = { '1.0-1.2': 1800, '1.3': 500, '1.4': 1000 }

for (const [version, countMin] of Object.entries(expected)) {
  test(`the OASIS messages of ${version} decode, and encode to the same bytes`, { skip }, () => {
    const messages = messagesOf(version)
    assert.ok(messages.length >= countMin, `${messages.length} messages were found`)
    for (const { where, isRequest, bytes } of messages) {
      if (isRequest) {
        const message = decodeRequest(bytes)
        for (const item of message.batchItem) assert.ok(!(item.requestPayload instanceof TtlvError), where)
        assert.deepEqual(encodeRequest(message), bytes, where)
        assert.ok(dumpRequest(message).startsWith('RequestMessage Structure'))
        wipe(message)
      } else {
        const message = decodeResponse(bytes)
        assert.deepEqual(encodeResponse(message), bytes, where)
        assert.ok(dumpResponse(message).startsWith('ResponseMessage Structure'))
        wipe(message)
      }
    }
  })
}

test('a damaged message is refused or encodes to the same bytes, and nothing else happens', { skip }, () => {
  const messages = messagesOf('1.4')
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.nat({ max: messages.length - 1 }), damage, (index, damages) => {
      const message = messages[index]
      assert.ok(message !== undefined)
      const bytes = Uint8Array.from(message.bytes)
      for (const [place, byte] of damages) bytes[place % bytes.length] = byte
      try {
        if (message.isRequest) {
          const decoded = decodeRequest(bytes)
          const broken = decoded.batchItem.some((item) => item.requestPayload instanceof TtlvError)
          if (!broken && isOurs(bytes)) assert.deepEqual(encodeRequest(decoded), bytes)
        } else {
          const decoded = decodeResponse(bytes)
          if (isOurs(bytes)) assert.deepEqual(encodeResponse(decoded), bytes)
        }
      } catch (error) {
        assert.ok(error instanceof KmipError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})

/** Whether the message still says that it is of a version that we know: of a later one, fields may be ignored. */
function isOurs(bytes: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from('42006b02000000040000000400000000', 'hex'))
}

test('requests for declared operations are typed as such', { skip }, () => {
  const items = messagesOf('1.4')
    .filter((message) => message.isRequest)
    .flatMap((message) => decodeRequest(message.bytes).batchItem)
  assert.ok(items.filter(isDeclaredRequest).length > 500)
  assert.ok(items.some((item) => !isDeclaredRequest(item)))
})
