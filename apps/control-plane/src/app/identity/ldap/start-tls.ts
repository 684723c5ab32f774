import { once } from 'node:events'
import type { Socket } from 'node:net'
import { BerError, headOf } from './ber-reader.ts'
import { LdapFailure } from './ldap-failure.ts'
import { decodeResponse } from './ldap-response.ts'

const oid = '1.3.6.1.4.1.1466.20037'
const messageId = 1

/** LDAPMessage with the ExtendedRequest of RFC 4511, 4.14.1; all lengths are below 128. */
const request = Buffer.concat([
  Buffer.from([0x30, oid.length + 7, 0x02, 0x01, messageId, 0x77, oid.length + 2, 0x80, oid.length]),
  Buffer.from(oid, 'latin1'),
])

/** The answer is one short message: a result code, and texts that nobody reads. */
const answerSizeMax = 1024

/**
 * Has a server begin TLS, before anything else is said on `socket`. Bytes that come after its answer, and before TLS, are
 * somebody's who stands between: they are refused, not kept. Throws `LdapFailure`.
 */
export async function startTls(socket: Socket, signal: AbortSignal): Promise<void> {
  socket.write(request)
  let received = Buffer.alloc(0)
  try {
    for (;;) {
      // Nothing decodes what the socket reads.
      const [chunk] = (await once(socket, 'data', { signal })) as [Buffer]
      // So that nothing is lost between here and TLS.
      socket.pause()
      received = Buffer.concat([received, chunk])
      const head = headOf(received)
      const isWhole = head !== null && received.length >= head.headSize + head.contentSize
      if (isWhole || received.length > answerSizeMax) break
      socket.resume()
    }
    const { messageId: answered, body } = decodeResponse(received)
    if (answered !== messageId || body.kind !== 'extended') throw new BerError('another question is answered')
    if (body.code === 0) return
    throw new LdapFailure(
      'refused',
      `the directory does not begin TLS on this port (result ${body.code}): try ldaps://`,
    )
  } catch (cause) {
    if (!(cause instanceof BerError)) throw cause
    throw new LdapFailure('wrong', 'the answer to StartTLS is no answer to it', { cause })
  }
}
