import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import type { EmailConfig } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import { createTransport } from 'nodemailer'
import { safeLookup } from './address-check.ts'
import { DeliveryError, deliveryTimeoutMs, type Item, networkFailure, type Sender } from './sender.ts'

/** One mail for up to 50 items, so that a storm of events is no storm of mails. */
export class EmailSender implements Sender {
  readonly batchMax = 50
  readonly #config: EmailConfig

  constructor(config: EmailConfig) {
    this.#config = config
  }

  async send(items: readonly Item[], secret: Secret | null, signal: AbortSignal): Promise<void> {
    const { host, port, security, from, to, user, ca } = this.#config
    const [first] = items
    if (first === undefined) return
    // The library takes the password as a string and lets go of it with the connection, which serves one mail.
    const pass = secret?.expose((bytes) => Buffer.from(bytes).toString('utf8'))
    const transport = createTransport({
      host,
      port,
      secure: security === 'tls',
      // Left to itself the library looks the name up without our rules.
      getSocket: (_options, callback) => {
        const connection = connect({ host, port, lookup: safeLookup, timeout: deliveryTimeoutMs, signal })
        const failed = (error: Error) => callback(error)
        connection.once('error', failed)
        connection.once('timeout', () => connection.destroy(new Error('no connection in time')))
        connection.once('connect', () => {
          connection.off('error', failed)
          connection.setTimeout(0)
          callback(null, { connection })
        })
      },
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'none',
      connectionTimeout: deliveryTimeoutMs,
      greetingTimeout: deliveryTimeoutMs,
      socketTimeout: deliveryTimeoutMs,
      disableFileAccess: true,
      disableUrlAccess: true,
      tls: { minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
      ...(user === undefined || pass === undefined ? {} : { auth: { user, pass } }),
    })
    const stop = () => transport.close()
    signal.addEventListener('abort', stop, { once: true })
    try {
      // By its ID a receiver, or its mail server, knows a mail that comes twice.
      const messageId = `<${createHash('sha256')
        .update(items.map(({ id }) => id).join('\n'))
        .digest('hex')}@cryptvisor>`
      await transport.sendMail({ from, to: [...to], subject: subjectOf(items), text: textOf(items), messageId })
    } catch (error) {
      const failure = networkFailure(`${host}:${port}`, error)
      // RFC 5321, 4.2.1: 5yz stays so.
      const code = error instanceof Error && 'responseCode' in error ? Number(error.responseCode) : 0
      throw code >= 500
        ? new DeliveryError(`${host}:${port} refused the mail with ${code}`, { permanent: true, cause: error })
        : failure
    } finally {
      signal.removeEventListener('abort', stop)
      transport.close()
    }
  }
}

const order = { info: 0, warning: 1, error: 2 } as const

function subjectOf(items: readonly Item[]): string {
  const worst = items.toSorted((one, other) => order[other.severity] - order[one.severity])[0]
  const more = items.length === 1 ? '' : ` and ${items.length - 1} more`
  return `[Cryptvisor] ${worst?.severity}: ${worst?.type}${more}`
}

function textOf(items: readonly Item[]): string {
  return items
    .map(({ time, severity, type, text, about }) => {
      const names = Object.entries(about).map(([name, value]) => `  ${name}: ${value}\n`)
      return `${time}  ${severity}  ${type}\n${text}\n${names.join('')}`
    })
    .join('\n')
}
