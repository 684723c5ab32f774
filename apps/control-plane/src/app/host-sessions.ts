import { HostAgentClient, hostUri, type MachineReport, type SessionRequest } from '@cryptvisor/host-agent-api'
import { type Identity, readCertificate } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import type { HostRow, Schema } from '../database/schema.ts'
import { agentAddress } from './agent-address.ts'
import { agentRest } from './agent-rest.ts'
import type { Certificates } from './certificates.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { takeNextCertificate } from './host-certificates.ts'
import { notEnrolled, recordSessionBegin } from './host-session-record.ts'
import { defaultWatchLimits, type WatchLimits, watchHost } from './host-watch.ts'
import type { Log } from './log.ts'
import type { HostConnection, HostConnections, HostObserver } from './ports.ts'
import { acceptRenewedCertificate } from './system/renewed-host-certificates.ts'
import { Supersession } from './system/supersession.ts'

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
  readonly #watchLimits: WatchLimits
  readonly #live = new Map<string, Live>()
  readonly #waiting = new Set<(connection: HostConnection) => void>()
  readonly #endings = new Set<Promise<void>>()
  readonly #supersession: Supersession
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
    watchLimits: WatchLimits = defaultWatchLimits,
  ) {
    this.#database = database
    this.#events = events
    this.#certificates = certificates
    this.#identity = identity
    this.#observer = observer
    this.#clock = clock
    this.#log = log
    this.#watchLimits = watchLimits
    this.#supersession = new Supersession(events, certificates.epoch)
  }

  /** Names of the hosts that met a newer control plane of this installation. */
  get supersededBy(): readonly string[] {
    return this.#supersession.hosts
  }

  get(hostId: string): HostConnection | null {
    return this.#live.get(hostId)?.connection ?? null
  }

  /** How many hosts have one. */
  get count(): number {
    return this.#live.size
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
    if (certificate === null) throw notEnrolled()
    const info = readCertificate(certificate)
    const { uris, serialNumber } = info
    const host = await this.#database
      .selectFrom('host')
      .selectAll()
      .where('certificate_serial', '=', serialNumber)
      .executeTakeFirst()
    if (host !== undefined && uris.length === 1 && uris[0] === hostUri(host.id)) return host
    const next = host === undefined ? await takeNextCertificate(this.#events, info) : null
    if (next !== null) return next
    const renewed = host === undefined ? await acceptRenewedCertificate(this.#events, info) : null
    if (renewed !== null) return renewed
    throw notEnrolled()
  }

  /** Begins a session; one that the host had ends. Throws `invalid` for the URL and where the host met a newer control plane, `not-logged-in` on the way down. */
  async begin(host: HostRow, request: SessionRequest): Promise<HostSession> {
    agentAddress(request.url)
    await this.#supersession.check(host, request.epoch ?? 0)
    const session = this.#create(host, request)
    const before = this.#live.get(host.id)
    this.#live.set(host.id, session)
    before?.end('a new session took its place')
    try {
      await recordSessionBegin(this.#events, session.host, request, before?.connection ?? null)
    } catch (error) {
      session.end('its beginning could not be recorded')
      throw error
    }
    // Another one may have taken its place already.
    if (session.signal.aborted) return session
    for (const take of [...this.#waiting]) take(session.connection)
    this.#watch(session)
    this.#tell('hostConnected', this.#observer().hostConnected(session.host, session.connection))
    return session
  }

  /** Takes in what a host says of its machines; throws `host-disconnected` unless that start of its agent has a session now. */
  async machinesReported(host: HostRow, report: MachineReport): Promise<void> {
    const live = this.#live.get(host.id)
    if (live?.connection.bootId !== report.bootId) {
      throw new ControlPlaneError(
        'host-disconnected',
        'this start of the agent has no session now: begin one, and report then',
      )
    }
    await this.#observer().machinesReported(live.host, live.connection, report)
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
    const now: HostRow = {
      ...host,
      url: request.url,
      version: request.version,
      crypto_supported: request.cryptoSupported ? 1 : 0,
      last_seen_at: this.#clock(),
    }
    const rest = agentRest(now, this.#certificates.ca, this.#identity)
    const ended = new AbortController()
    const session: Live = {
      host: now,
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

  #watch(session: Live): void {
    const { client } = session.connection
    watchHost(() => client.host(), this.#watchLimits, session.signal, {
      answered: () => {
        session.lastSeenAt = this.#clock()
      },
      missed: (error, missedCount) => {
        this.#log.warn({ err: error, host: session.host.id, missedCount }, 'a host does not answer')
      },
      gone: () => session.end('it does not answer any more'),
    })
  }

  #tell(what: string, told: Promise<void>): void {
    told.catch((error: unknown) => this.#log.error({ err: error }, `${what} failed`))
  }
}
