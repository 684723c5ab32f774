import type { WrappedSecret } from './master-secret.ts'

/** How QEMU's objects may be called (id_wellformed); what is within needs no escapes in JSON. */
const objectId = /^[A-Za-z][A-Za-z0-9._-]{0,126}$/

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1')
const padding = 0x3d

/** The object to be made: its ID, and that of the object that holds its master secret. */
export interface SecretObject {
  readonly id: string
  readonly masterId: string
}

/**
 * The line of QMP that makes a secret object, byte by byte in a buffer of its own: V8 keeps strings and JSON until it pleases, and they
 * cannot be wiped. Whoever sends it wipes it. Throws a RangeError for IDs that QEMU would not take.
 */
export function secretLine(commandId: number, { id, masterId }: SecretObject, { iv, data }: WrappedSecret): Buffer {
  for (const name of [id, masterId]) {
    if (!objectId.test(name))
      throw new RangeError('an ID of an object begins with a letter and has letters, digits, . _ -')
  }
  const head = `{"execute":"object-add","id":${commandId},"arguments":{"qom-type":"secret","id":"${id}","keyid":"${masterId}","format":"base64","iv":"`
  const middle = '","data":"'
  const tail = '"}}\n'
  const line = Buffer.allocUnsafeSlow(head.length + base64Size(iv) + middle.length + base64Size(data) + tail.length)
  let at = line.write(head, 0, 'latin1')
  at = writeBase64(line, at, iv)
  at += line.write(middle, at, 'latin1')
  at = writeBase64(line, at, data)
  line.write(tail, at, 'latin1')
  return line
}

const base64Size = (bytes: Uint8Array) => Math.ceil(bytes.length / 3) * 4

/** Writes `bytes` as base64 (RFC 4648, 4); returns where it ends. */
function writeBase64(target: Buffer, start: number, bytes: Uint8Array): number {
  let at = start
  for (let from = 0; from < bytes.length; from += 3) {
    const group = (byteAt(bytes, from) << 16) | (byteAt(bytes, from + 1) << 8) | byteAt(bytes, from + 2)
    target[at++] = digit(group >> 18)
    target[at++] = digit(group >> 12)
    target[at++] = from + 1 < bytes.length ? digit(group >> 6) : padding
    target[at++] = from + 2 < bytes.length ? digit(group) : padding
  }
  return at
}

const byteAt = (bytes: Uint8Array, index: number) => bytes[index] ?? 0
const digit = (bits: number) => alphabet[bits & 63] ?? padding
