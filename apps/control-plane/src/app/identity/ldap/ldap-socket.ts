import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { safeLookup } from '../../notifications/address-check.ts'
import { connectionTrouble } from '../connection-trouble.ts'
import { LdapFailure } from './ldap-failure.ts'
import type { LdapServer } from './ldap-server.ts'
import { startTls } from './start-tls.ts'

/** Until a server has let us in, TLS and all. */
const openMsMax = 4000

/**
 * Connects to a server. But for plain LDAP to this machine its certificate has been checked when this answers: by `ca`
 * (PEM; `undefined`: those of the system) and for the host's name. Throws `LdapFailure`.
 */
export async function openLdapSocket(server: LdapServer, ca: string | undefined): Promise<Socket> {
  const { host, port, tls } = server
  const signal = AbortSignal.timeout(openMsMax)
  const sockets: Socket[] = []
  const open = async (socket: Socket, event: 'connect' | 'secureConnect') => {
    sockets.push(socket)
    // Errors while nobody waits for them: what is waited for next fails by itself.
    socket.on('error', () => {})
    await once(socket, event, { signal })
    return socket
  }
  const secure = (socket?: Socket) =>
    connectTls({
      ...(socket === undefined ? { port, lookup: safeLookup } : { socket }),
      host,
      // RFC 6066, 3: an address is no server name. The certificate is checked for `host` then.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca }),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    })
  try {
    if (tls === 'at-once') return await open(secure(), 'secureConnect')
    const plain = await open(connect({ host, port, lookup: safeLookup, noDelay: true }), 'connect')
    if (tls === 'none') return plain
    await startTls(plain, signal)
    return await open(secure(plain), 'secureConnect')
  } catch (cause) {
    for (const socket of sockets) socket.destroy()
    if (cause instanceof LdapFailure) throw new LdapFailure(cause.kind, `${server.url}: ${cause.message}`, { cause })
    throw new LdapFailure(
      'unreachable',
      `${server.url}: ${signal.aborted ? 'no answer in time' : connectionTrouble(cause)}`,
      {
        cause,
      },
    )
  }
}
