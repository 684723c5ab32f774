import { HostAgentClient, hostUri, type SessionRequest } from '@cryptvisor/host-agent-api'
import { type Identity, readCertificate } from '@cryptvisor/pki'
import { RestClient } from '@cryptvisor/rest'
import type { Kysely } from 'kysely'
import type { HostRow, Schema } from '../database/schema.ts'
import { agentAddress } from './agent-address.ts'
import type { Certificates } from './certificates.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { Log } from './log.ts'
import type { HostConnection, HostConnections, HostObserver } from './ports.ts'

/** How often a connected host is asked whether it answers. */
const probeMs = 15_000
/** So many times in a row it does not answer before its session is over: its network may be gone without a word. */
const probesMissedMax = 2

/** One session of a host's agent, from its request to its end. */
export interface HostSession {
  readonly connection: HostConnection
  /** Fires when the session is over. */
  readonly signal: AbortSignal
  /** Ends it; nothing happens when it is over already. */
  end(reason: string): void
}

interface Live extends HostSession {
  readonly host: HostRow
  lastSeenAt: number
}

/** The sessions of the hosts' agents: at most one per host. */
export class HostSessions implements HostConnections {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #certificates: Certificates
  readonly #observer: () => HostObserver
  readonly #clock: Clock
  readonly #log: Log
  readonly #live = new Map<string, Live>()
  readonly #waiting = new Set<(connection: HostConnection) => void>()
  readonly #endings = new Set<Promise<void>>()
  #identity: Identity
  #closed = false

  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    certificates: Certificates,
    identity: Identity,
    observer: () => HostObserver,
    clock: Clock,
    log: Log,
  ) {
    this.#database = database
    this.#events = events
    this.#certificates = certificates
    this.#identity = identity
    this.#observer = observer
    this.#clock = clock
    this.#log = log
  }

  get(hostId: string): HostConnection | null {
    return this.#live.get(hostId)?.connection ?? null
  }

  /** When a connected host was last known to answer; `null`: it is not connected. */
  lastSeenAt(hostId: string): number | null {
    return this.#live.get(hostId)?.lastSeenAt ?? null
  }

  async waitFor(hostId: string, signal: AbortSignal): Promise<HostConnection> {
    signal.throwIfAborted()
    const now = this.get(hostId)
    if (now !== null) return now
    const { promise, resolve, reject } = Promise.withResolvers<HostConnection>()
    const take = (connection: HostConnection) => {
      if (connection.hostId === hostId) resolve(connection)
    }
    const giveUp = () => reject(signal.reason)
    this.#waiting.add(take)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await promise
    } finally {
      this.#waiting.delete(take)
      signal.removeEventListener('abort', giveUp)
    }
  }

  /**
   * The host that a client certificate belongs to. Throws `not-logged-in` when it is no host's, the host was removed, or
   * a newer certificate took its place.
   */
  async authenticate(certificate: Uint8Array | null): Promise<HostRow> {
    const { uris, serialNumber } = certificate === null ? { uris: [], serialNumber: '' } : readCertificate(certificate)
    const host = await this.#database
      .selectFrom('host')
      .selectAll()
      .where('certificate_serial', '=', serialNumber)
      .executeTakeFirst()
    if (host !== undefined && uris.length === 1 && uris[0] === hostUri(host.id)) return host
    throw notEnrolled()
  }

  /** Begins a session; one that the host had ends. Throws `invalid` for the URL, `not-logged-in` on the way down. */
  async begin(host: HostRow, request: SessionRequest): Promise<HostSession> {
    agentAddress(request.url)
    const session = this.#create(host, request)
    const before = this.#live.get(host.id)
    this.#live.set(host.id, session)
    before?.end('a new session took its place')
    try {
      await this.#recordBegin(session, request, before?.connection ?? null)
    } catch (error) {
      session.end('its beginning could not be recorded')
      throw error
    }
    for (const take of [...this.#waiting]) take(session.connection)
    this.#watch(session)
    this.#tell('hostConnected', this.#observer().hostConnected(session.host, session.connection))
    return session
  }

  /** Ends the session of a host, if there is one. */
  end(hostId: string, reason: string): void {
    this.#live.get(hostId)?.end(reason)
  }

  /** Shows agents a new certificate: all sessions end, and the agents come again. */
  async renewIdentity(): Promise<void> {
    const old = this.#identity
    this.#identity = await this.#certificates.issueClient()
    for (const session of [...this.#live.values()]) session.end('the control plane renewed its certificate')
    old[Symbol.dispose]()
  }

  /** Ends all sessions because the control plane stops; this is no event. */
  async close(): Promise<void> {
    this.#closed = true
    for (const session of [...this.#live.values()]) session.end('the control plane stops')
    await Promise.all(this.#endings)
    this.#identity[Symbol.dispose]()
  }

  #create(host: HostRow, request: SessionRequest): Live {
    if (this.#closed) throw new ControlPlaneError('not-logged-in', 'the control plane stops: come again')
    const rest = new RestClient({
      url: request.url,
      ca: this.#certificates.ca,
      identity: this.#identity,
      checkServer: (certificate) => {
        const { uris, serialNumber } = readCertificate(certificate.raw)
        if (uris.length === 1 && uris[0] === hostUri(host.id) && serialNumber === host.certificate_serial) {
          return undefined
        }
        return `the certificate at ${request.url} is not the one of host ${host.name}`
      },
    })
    const ended = new AbortController()
    const session: Live = {
      host: {
        ...host,
        url: request.url,
        version: request.version,
        crypto_supported: request.cryptoSupported ? 1 : 0,
        last_seen_at: this.#clock(),
      },
      connection: {
        hostId: host.id,
        bootId: request.bootId,
        client: new HostAgentClient(rest),
        cryptoSupported: request.cryptoSupported,
      },
      signal: ended.signal,
      lastSeenAt: this.#clock(),
      end: (reason) => {
        if (ended.signal.aborted) return
        const current = this.#live.get(host.id) === session
        if (current) this.#live.delete(host.id)
        ended.abort(new Error(reason))
        const ending = Promise.all([
          rest[Symbol.asyncDispose](),
          current ? this.#recordEnd(session, reason) : undefined,
        ])
          .then(() => {})
          .catch((error: unknown) => this.#log.error({ err: error, host: host.id }, 'the end of a session failed'))
          .finally(() => this.#endings.delete(ending))
        this.#endings.add(ending)
      },
    }
    return session
  }

  async #recordBegin({ host }: Live, request: SessionRequest, before: HostConnection | null): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const enrolled = await transaction
        .selectFrom('host')
        .select('url')
        .where('id', '=', host.id)
        .where('certificate_serial', '=', host.certificate_serial)
        .executeTakeFirst()
      if (enrolled === undefined) throw notEnrolled()
      await transaction
        .updateTable('host')
        .set({
          url: host.url,
          version: host.version,
          crypto_supported: host.crypto_supported,
          last_seen_at: host.last_seen_at,
        })
        .where('id', '=', host.id)
        .execute()
      if (before !== null && before.bootId !== request.bootId) {
        await record({
          type: 'host.session-replaced',
          host: host.name,
          text: `${host.name} opened a session while another start of its agent had one: unless it was just started again, somebody else has its identity; remove the host or enrol it again then`,
        })
      }
      if (enrolled.url !== host.url) {
        await record({
          type: 'host.address-changed',
          host: host.name,
          text: `${host.name} answers at ${host.url} now, not at ${enrolled.url} any more`,
        })
      }
      await record({
        type: 'host.connected',
        host: host.name,
        text: `${host.name} connected (version ${host.version}, ${request.cryptoSupported ? 'can' : 'cannot'} take keys)`,
      })
    })
  }

  async #recordEnd(session: Live, reason: string): Promise<void> {
    const { host } = session
    await this.#database
      .updateTable('host')
      .set({ last_seen_at: session.lastSeenAt })
      .where('id', '=', host.id)
      .execute()
    if (this.#closed) return
    await this.#events.record({
      type: 'host.disconnected',
      host: host.name,
      text: `${host.name} disconnected: ${reason}`,
    })
    await this.#observer().hostDisconnected(host)
  }

  /** Asks the agent again and again whether it answers, until the session is over. */
  #watch(session: Live): void {
    let missedCount = 0
    const probe = async () => {
      try {
        await session.connection.client.host()
        missedCount = 0
        session.lastSeenAt = this.#clock()
      } catch (error) {
        if (session.signal.aborted) return
        missedCount++
        this.#log.warn({ err: error, host: session.host.id, missedCount }, 'a host does not answer')
      }
      if (missedCount >= probesMissedMax) session.end('it does not answer any more')
      else again()
    }
    let timer: NodeJS.Timeout | undefined
    const again = () => {
      if (session.signal.aborted) return
      timer = setTimeout(() => void probe(), probeMs)
      timer.unref()
    }
    session.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    again()
  }

  #tell(what: string, told: Promise<void>): void {
    told.catch((error: unknown) => this.#log.error({ err: error }, `${what} failed`))
  }
}

function notEnrolled(): ControlPlaneError {
  return new ControlPlaneError(
    'not-logged-in',
    'expected the client certificate of an enrolled host: this one is not, or was removed or enrolled again since',
  )
}
