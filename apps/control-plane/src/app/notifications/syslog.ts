import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { SyslogConfig } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import { safeLookup } from './address-check.ts'
import { DeliveryError, deliveryTimeoutMs, type Item, networkFailure, type Sender } from './sender.ts'

/** RFC 5424, 6.2.1: local0 for events, «log audit» for the audit. */
const facilities = { events: 16, audit: 13 } as const
const severities = { info: 6, warning: 4, error: 3 } as const

/** RFC 5612: the number for documentation, since we have none of our own. */
const structureId = 'cryptvisor@32473'

/** How long we wait for the receiver to close after us. */
const closeWaitMs = 2000

/** RFC 5424 over TLS with octet counting (RFC 5425, 4.3); the receiver is verified. One connection for up to 200 items. */
export class SyslogSender implements Sender {
  readonly batchMax = 200
  readonly #config: SyslogConfig
  readonly #hostName: string

  /** `hostName`: who we are (RFC 5424, 6.2.4). */
  constructor(config: SyslogConfig, hostName: string) {
    this.#config = config
    this.#hostName = hostName
  }

  async send(items: readonly Item[], secret: Secret | null, signal: AbortSignal): Promise<void> {
    const { host, port, transport } = this.#config
    const frames = Buffer.concat(items.map((item) => frameOf(item, this.#hostName)))
    let socket: Socket
    try {
      socket = transport === 'tls' ? this.#connectTls(secret) : connectTcp({ host, port, lookup: safeLookup })
    } catch (error) {
      throw new DeliveryError('the client certificate or its key cannot be used', { permanent: true, cause: error })
    }
    const ended = AbortSignal.any([signal, AbortSignal.timeout(deliveryTimeoutMs)])
    const give = () => socket.destroy(new Error('no answer in time'))
    ended.addEventListener('abort', give, { once: true })
    try {
      await writeAll(socket, frames, transport === 'tls' ? 'secureConnect' : 'connect')
    } catch (error) {
      throw networkFailure(`${host}:${port}`, error)
    } finally {
      ended.removeEventListener('abort', give)
      socket.destroy()
    }
  }

  #connectTls(secret: Secret | null): Socket {
    const { host, port, ca, clientCertificate: cert } = this.#config
    const open = (key?: Buffer) =>
      connectTls({
        host,
        port,
        lookup: safeLookup,
        minVersion: 'TLSv1.2',
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      })
    return secret === null || cert === undefined ? open() : secret.expose((bytes) => open(Buffer.from(bytes)))
  }
}

/** Resolves when the receiver has all of it, as far as TCP tells: when it closed after us, or kept quiet for a while. */
async function writeAll(socket: Socket, bytes: Buffer, connected: 'connect' | 'secureConnect'): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let written = false
  socket.on('error', reject)
  socket.on('close', () => (written ? resolve() : reject(new Error('the connection was closed'))))
  // Nothing is said back.
  socket.resume()
  socket.once(connected, () =>
    socket.end(bytes, () => {
      written = true
      setTimeout(resolve, closeWaitMs).unref()
    }),
  )
  await promise
}

/** `MSG-LEN SP SYSLOG-MSG` (RFC 5425, 4.3.1). */
export function frameOf(item: Item, hostName: string): Buffer {
  const message = Buffer.from(messageOf(item, hostName))
  return Buffer.concat([Buffer.from(`${message.length} `), message])
}

/** RFC 5424, 6: header, structured data, and text in UTF-8; of the audit the text is the record as it is chained. */
export function messageOf({ id, source, severity, time, type, text, about, body }: Item, hostName: string): string {
  const priority = facilities[source] * 8 + severities[severity]
  const data = Object.entries({ id, ...about }).map(([name, value]) => ` ${name}="${escaped(value)}"`)
  const header = `<${priority}>1 ${time} ${token(hostName, 255)} cryptvisor - ${token(type, 32)}`
  const content = source === 'audit' ? JSON.stringify(body) : text.replaceAll(/\p{Cc}/gu, ' ')
  return `${header} [${structureId}${data.join('')}] \ufeff${content}`
}

/** RFC 5424, 6.3.3. */
const escaped = (value: string) =>
  value.replaceAll(/\p{Cc}/gu, ' ').replaceAll(/["\\\]]/g, (character) => `\\${character}`)

/** PRINTUSASCII of a length; `-`: none. */
function token(text: string, sizeMax: number): string {
  const printable = text.replaceAll(/[^!-~]/g, '_').slice(0, sizeMax)
  return printable === '' ? '-' : printable
}
