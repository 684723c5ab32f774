import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { BerError } from './ber-reader.ts'
import { decodeResponse } from './ldap-response.ts'
import { MessageReader, messageSizeMax } from './message-reader.ts'

/** A value with its length in the shortest form. */
function ber(tag: number, ...content: readonly (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(content.map((each) => Buffer.from(each as string)))
  const length =
    bytes.length < 128 ? [bytes.length] : [0x84, ...Buffer.from(bytes.length.toString(16).padStart(8, '0'), 'hex')]
  return Buffer.concat([Buffer.from([tag, ...length]), bytes])
}

const id = ber(0x02, Buffer.from([2]))
const entryOf = (dn: string, attributes: readonly (readonly [string, readonly Buffer[]])[]) =>
  ber(
    0x30,
    id,
    ber(
      0x64,
      ber(0x04, dn),
      ber(
        0x30,
        ...attributes.map(([name, values]) =>
          ber(0x30, ber(0x04, name), ber(0x31, ...values.map((each) => ber(0x04, each)))),
        ),
      ),
    ),
  )

test('an entry is read as it was sent: bytes stay bytes, names are in lower case', () => {
  const guid = Buffer.from('efbbbf0028ff', 'hex')
  const { messageId, body } = decodeResponse(
    entryOf('uid=zoë,dc=x', [
      ['objectGUID', [guid]],
      ['cn', []],
    ]),
  )
  assert.equal(messageId, 2)
  assert.deepEqual(body, {
    kind: 'entry',
    entry: { dn: 'uid=zoë,dc=x', attributes: new Map([['objectguid', [guid]]]) },
  })
  assert.throws(
    () =>
      decodeResponse(
        entryOf('dc=x', [
          ['cn', []],
          ['a', [guid]],
          ['A', [guid]],
        ]),
      ),
    BerError,
  )
  const noText = ber(0x30, id, ber(0x64, ber(0x04, guid), ber(0x30)))
  assert.throws(() => decodeResponse(noText), BerError)
})

test('the end of a search says its code, and whether there are more pages', () => {
  const result = [ber(0x0a, Buffer.from([0])), ber(0x04), ber(0x04, 'text')]
  const control = (value: Buffer) => ber(0xa0, ber(0x30, ber(0x04, '1.2.840.113556.1.4.319'), value))
  const page = (cookie: string) => ber(0x04, ber(0x30, ber(0x02, Buffer.from([0])), ber(0x04, cookie)))
  const cookieOf = (...controls: readonly Buffer[]) => {
    const { body } = decodeResponse(ber(0x30, id, ber(0x65, ...result), ...controls))
    return body.kind === 'search' ? body.cookie?.toString() : 'none'
  }
  assert.equal(cookieOf(), undefined)
  assert.equal(cookieOf(control(page(''))), undefined)
  assert.equal(cookieOf(control(page('next'))), 'next')
  assert.equal(
    cookieOf(ber(0xa0, ber(0x30, ber(0x04, '1.2.840.113556.1.4.319'), ber(0x01, Buffer.from([255])), page('next')))),
    'next',
  )
  assert.equal(cookieOf(ber(0xa0, ber(0x30, ber(0x04, '1.2.3')))), undefined)
})

test('no bytes crash the decoder, nor make it read beyond them; a good message that is damaged is refused or read', () => {
  const good = entryOf('uid=a,dc=x', [['cn', [Buffer.from('a'), Buffer.from('b')]]])
  const tried = (bytes: Buffer) => {
    try {
      decodeResponse(bytes)
    } catch (error) {
      assert.ok(error instanceof BerError, String(error))
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => tried(Buffer.from(bytes))))
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const damaged = Buffer.from(good)
      damaged[at] = byte
      tried(damaged)
      assert.throws(() => decodeResponse(good.subarray(0, at)), BerError)
    }),
  )
})

/** What a socket is to a reader of messages. */
function reading() {
  const socket = Object.assign(new EventEmitter(), { destroyed: false, destroy: () => (socket.destroyed = true) })
  const messages: Buffer[] = []
  const errors: Error[] = []
  // Nothing else of a socket is used.
  new MessageReader(
    socket as unknown as Socket,
    (message) => messages.push(message),
    (error) => errors.push(error),
  )
  return { socket, messages, errors }
}

test('messages are the same wherever what comes is cut', () => {
  const sent = [entryOf('a=b', []), entryOf('c=d', [['x', [Buffer.alloc(300)]]]), entryOf('e=f', [])]
  const all = Buffer.concat(sent)
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(all.length), { maxLength: 20 }), (cuts) => {
      const { socket, messages, errors } = reading()
      let from = 0
      for (const to of [...cuts.sort((one, other) => one - other), all.length]) {
        socket.emit('data', all.subarray(from, to))
        from = to
      }
      assert.deepEqual([messages, errors], [sent, []])
    }),
  )
})

test('a message that would be too long is refused by its length', () => {
  const { socket, messages, errors } = reading()
  socket.emit('data', Buffer.from(`3084${(messageSizeMax + 1).toString(16).padStart(8, '0')}`, 'hex'))
  assert.deepEqual([socket.destroyed, messages.length, errors.length], [true, 0, 1])
})
