import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { decodeRequest, encodeResponse, type RequestMessage, type ResponseMessage, Tag } from '@cryptvisor/kmip'
import { CertificateAuthority } from '@cryptvisor/pki'
import { FrameReader } from '@cryptvisor/ttlv'
import type { ServerOptions } from '../server-options.ts'

/** What of `node:test` is needed: something to run when the test is over. */
interface Ending {
  after(run: () => void | Promise<void>): void
}

/** What to do with a request: a message or bytes to answer, `close` to end the connection, `nothing` to stay silent. */
export type Answer = ResponseMessage | Uint8Array | 'close' | 'nothing'

export interface ScriptedServer {
  readonly options: ServerOptions
  readonly authority: CertificateAuthority
  /** The SHA-256 fingerprint of its certificate, as certificates show it. */
  readonly fingerprint256: string
  /** All that was asked for so far. */
  readonly requests: readonly RequestMessage[]
  /** How many connections were made so far. */
  connectionCount(): number
  /** Ends the connections that are open. */
  closeConnections(): void
}

const host = '127.0.0.1'

/** A KMIP server that answers what a test wants, the wrong things above all. */
export async function startScriptedServer(
  context: Ending,
  answer: (request: RequestMessage, index: number) => Answer,
  tls: TlsOptions = {},
): Promise<ScriptedServer> {
  const { authority, privateKey } = await CertificateAuthority.create('scripted', 2, () => new Date())
  privateKey[Symbol.dispose]()
  using own = await authority.issue({ commonName: 'server', usages: ['server'], hosts: [host], validDays: 1 })
  const client = await authority.issue({ commonName: 'client', usages: ['client'], validDays: 1 })
  context.after(() => client[Symbol.dispose]())
  const requests: RequestMessage[] = []
  const sockets = new Set<TLSSocket>()
  let connectionCount = 0
  const server = createServer({
    cert: own.certificate,
    key: own.privateKey.expose((key) => Buffer.from(key)),
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: true,
    ...tls,
  })
  server.on('secureConnection', (socket) => {
    connectionCount++
    sockets.add(socket)
    const reader = new FrameReader({ tag: Tag.RequestMessage })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      for (const bytes of reader.push(chunk)) {
        const request = decodeRequest(bytes)
        requests.push(request)
        send(socket, answer(request, requests.length - 1))
      }
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    options: {
      host,
      // A server that listens on TCP has an address with a port.
      port: (server.address() as AddressInfo).port,
      caPem: authority.certificate,
      clientCertificatePem: client.certificate,
      clientKey: client.privateKey,
    },
    authority,
    fingerprint256: new X509Certificate(own.certificate).fingerprint256,
    requests,
    connectionCount: () => connectionCount,
    closeConnections() {
      for (const socket of sockets) socket.end()
    },
  }
}

function send(socket: TLSSocket, answer: Answer): void {
  if (answer === 'close') socket.end()
  else if (answer instanceof Uint8Array) socket.write(answer)
  else if (answer !== 'nothing') socket.write(encodeResponse(answer))
}
