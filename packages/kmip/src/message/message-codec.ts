import {
  compareVersions,
  decode,
  dump,
  encode,
  type Item,
  type Limits,
  peek,
  TtlvError,
  type Version,
  wipe,
} from '@cryptvisor/ttlv'
import { KmipError } from '../kmip-error.ts'
import { Tag, tagName } from '../tag.ts'
import { formatVersion, versions } from '../version.ts'
import { RequestMessage, ResponseMessage } from './message.ts'
import { ProtocolVersion } from './protocol-version.ts'

/** How many batch items a message may have. */
export const batchCountMax = 1000

/** The version in the header of a request; `null` where there is none to be read. */
export function requestVersion(bytes: Uint8Array): Version | null {
  return peek(ProtocolVersion, bytes, [Tag.RequestMessage, Tag.RequestHeader])
}

/**
 * Decodes a request. A payload that is broken in itself stands as a TtlvError in its batch item. Throws a KmipError
 * with the result reason for the peer when the message as a whole is none, or one of another major version.
 */
export function decodeRequest(bytes: Uint8Array, limits?: Partial<Limits>): RequestMessage {
  const message = decodeMessage(RequestMessage, bytes, requestVersion(bytes), limits)
  checkBatchCount(message, message.requestHeader.batchCount)
  return message
}

/** Decodes an answer. Throws a KmipError when it is none, or one of another major version. */
export function decodeResponse(bytes: Uint8Array, limits?: Partial<Limits>): ResponseMessage {
  const version = peek(ProtocolVersion, bytes, [Tag.ResponseMessage, Tag.ResponseHeader])
  const message = decodeMessage(ResponseMessage, bytes, version, limits)
  checkBatchCount(message, message.responseHeader.batchCount)
  return message
}

/** Encodes a request in the version of its header, into a buffer that the caller wipes. Throws a TtlvError. */
export function encodeRequest(message: RequestMessage, messageSizeMax?: number): Uint8Array {
  return encode(RequestMessage, message, {
    version: message.requestHeader.protocolVersion,
    ...(messageSizeMax === undefined ? {} : { messageSizeMax }),
  })
}

/** Encodes an answer in the version of its header, into a buffer that the caller wipes. Throws a TtlvError. */
export function encodeResponse(message: ResponseMessage, messageSizeMax?: number): Uint8Array {
  return encode(ResponseMessage, message, {
    version: message.responseHeader.protocolVersion,
    ...(messageSizeMax === undefined ? {} : { messageSizeMax }),
  })
}

/** Shows a request as text without its secrets. */
export function dumpRequest(message: RequestMessage): string {
  return dump(RequestMessage, message, { version: message.requestHeader.protocolVersion, tagName })
}

/** Shows an answer as text without its secrets. */
export function dumpResponse(message: ResponseMessage): string {
  return dump(ResponseMessage, message, { version: message.responseHeader.protocolVersion, tagName })
}

function decodeMessage<Message>(
  item: Item<Message>,
  bytes: Uint8Array,
  version: Version | null,
  limits: Partial<Limits> | undefined,
): Message {
  if (version === null) throw new KmipError('InvalidMessage', 'the message has no header with a protocol version')
  const newest = versions.find((known) => known.major === version.major)
  if (newest === undefined || version.minor < 0) {
    throw new KmipError(
      'InvalidMessage',
      `protocol version ${formatVersion(version)} is not supported; known are ${versions.map(formatVersion).join(', ')}`,
    )
  }
  try {
    return decode(item, bytes, {
      version,
      unknownFields: compareVersions(version, newest) > 0 ? 'ignore' : 'refuse',
      ...(limits === undefined ? {} : { limits }),
    })
  } catch (error) {
    throw error instanceof TtlvError ? KmipError.from(error) : error
  }
}

/** KMIP 1.4, 6.14: the header says how many items there are. */
function checkBatchCount(message: RequestMessage | ResponseMessage, batchCount: number): void {
  const count = message.batchItem.length
  if (count === batchCount && count >= 1 && count <= batchCountMax) return
  wipe(message)
  throw new KmipError(
    'InvalidMessage',
    count === batchCount
      ? `the message has ${count} batch items; 1 to ${batchCountMax} are taken`
      : `the header announces ${batchCount} batch items, and there are ${count}`,
  )
}
