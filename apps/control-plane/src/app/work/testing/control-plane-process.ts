import { privileges } from '@cryptvisor/control-plane-api'
import { CertificateAuthority, signStatement } from '@cryptvisor/pki'
import type { Kysely, KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs } from 'kysely'
import type { HostRow, Schema } from '../../../database/schema.ts'
import { everywhere } from '../../access-control.ts'
import type { Clock } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { EventLog } from '../../events.ts'
import type { HostConnection, HostConnections, KeyProviders } from '../../ports.ts'
import type { Timings } from '../context.ts'
import type { StatementSigner } from '../erasure/erase-saga.ts'
import type { VerificationSettings } from '../keys/key-verification.ts'
import { Work } from '../work.ts'
import { Faults } from './faults.ts'
import type { MemoryKms } from './memory-kms.ts'
import type { SimulatedAgent } from './simulated-agent.ts'

/** So that tests do not wait. */
export const shortTimings: Timings = {
  pollMs: 1,
  retryMs: 2,
  retryMaxMs: 4,
  hostReturnMs: 200,
  hostLeaveMs: 10_000,
  contentWaitMs: 10_000,
  policyWatchMs: 10,
  complianceMs: 600_000,
  campaignsMs: 5,
  campaignRetryMs: 2,
}

/** One process of the control plane: its own connection to the database, its own sessions, its own faults. */
export class ControlPlaneProcess {
  readonly faults = new Faults()
  readonly work: Work
  readonly database: Kysely<Schema>
  /** Users who may do nothing any more. */
  readonly removedUsers = new Set<string>()
  /** Reads events past the faults. */
  readonly log: EventLog
  /** What the work wrote into its log. */
  readonly logged: { readonly level: string; readonly fields: object; readonly text: string }[] = []
  readonly #sessions = new Sessions()

  constructor(
    database: Kysely<Schema>,
    providers: ReadonlyMap<string, MemoryKms>,
    timings: Partial<Timings>,
    verification: VerificationSettings | null = null,
    clock: Clock = Date.now,
  ) {
    this.database = database
    this.log = new EventLog(database, clock)
    const faulty = database.withPlugin(new FaultyDatabase(this.faults))
    const note = (level: string) => (fields: object, text: string) => void this.logged.push({ level, fields, text })
    this.work = new Work({
      database: faulty,
      events: new EventLog(faulty, clock),
      audit: { note: async () => {} },
      keyProviders: providersOf(providers, this.faults),
      hostConnections: this.#sessions,
      clock,
      log: { info: note('info'), warn: note('warn'), error: note('error') },
      settings: {
        labels: { vendor: 'Cryptvisor', product: 'Cryptvisor', productVersion: '1.2.3' },
        ...(verification === null ? {} : { keyVerification: verification }),
        keyDestroyAfterMs: 7 * 86_400_000,
      },
      signer: testSigner(),
      timings: { ...shortTimings, ...timings },
      principalOf: async (user) => everywhere(user, this.removedUsers.has(user) ? [] : privileges),
    })
  }

  /** One that was removed is not let in. */
  async connect(agent: SimulatedAgent): Promise<void> {
    const known = await this.database.selectFrom('host').select('id').where('id', '=', agent.name).executeTakeFirst()
    if (known === undefined) return
    await this.database
      .updateTable('host')
      .set({ crypto_supported: agent.cryptoSupported ? 1 : 0, last_seen_at: Date.now(), boot_id: agent.bootId })
      .where('id', '=', agent.name)
      .execute()
    await this.work.hostConnected(await this.host(agent), this.beginSession(agent))
    await this.report(agent)
  }

  /** The agent says how its machines are. */
  async report(agent: SimulatedAgent): Promise<void> {
    const connection = this.#sessions.get(agent.name)
    if (connection === null || !agent.machines.supported) return
    const { machines } = agent.machines.list()
    await this.work.machinesReported(await this.host(agent), connection, { bootId: agent.bootId, machines })
  }

  /** The agent's session begins, and the work has not been told of it yet. */
  beginSession(agent: SimulatedAgent): HostConnection {
    const { bootId, cryptoSupported } = agent
    const connection = { hostId: agent.name, bootId, cryptoSupported, client: agent.client(this.faults) }
    this.#sessions.begin(connection)
    return connection
  }

  isConnected(agent: SimulatedAgent): boolean {
    return this.#sessions.get(agent.name) !== null
  }

  async disconnect(agent: SimulatedAgent): Promise<void> {
    this.#sessions.end(agent.name)
    await this.work.hostDisconnected(await this.host(agent))
  }

  /** Ends it, dead or alive. */
  async end(): Promise<void> {
    await this.work.stop()
    await this.database.destroy()
  }

  host(agent: SimulatedAgent): Promise<HostRow> {
    return this.database.selectFrom('host').selectAll().where('id', '=', agent.name).executeTakeFirstOrThrow()
  }
}

/** Signs under a CA of its own. */
export function testSigner(): StatementSigner {
  return {
    caFingerprint256: 'ab'.repeat(32),
    signDocument: async (type, payload) => {
      const made = await CertificateAuthority.create('test CA', 1, () => new Date())
      made.privateKey[Symbol.dispose]()
      using signer = await made.authority.issue({ commonName: 'signer', usages: ['document-signing'], validDays: 1 })
      return signStatement(signer, made.authority.certificate, type, payload)
    },
  }
}

/** The hosts that are connected, as the work sees them. */
export class Sessions implements HostConnections {
  readonly #live = new Map<string, HostConnection>()
  readonly #waiting = new Set<(connection: HostConnection) => void>()

  get(hostId: string): HostConnection | null {
    return this.#live.get(hostId) ?? null
  }

  async waitFor(hostId: string, signal: AbortSignal): Promise<HostConnection> {
    signal.throwIfAborted()
    const now = this.get(hostId)
    if (now !== null) return now
    const { promise, resolve, reject } = Promise.withResolvers<HostConnection>()
    const take = (connection: HostConnection) => {
      if (connection.hostId === hostId) resolve(connection)
    }
    this.#waiting.add(take)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    return promise.finally(() => this.#waiting.delete(take))
  }

  begin(connection: HostConnection): void {
    this.#live.set(connection.hostId, connection)
    for (const take of [...this.#waiting]) take(connection)
  }

  end(hostId: string): void {
    this.#live.delete(hostId)
  }
}

/** The key providers, as the work sees them. */
export function providersOf(providers: ReadonlyMap<string, MemoryKms>, faults: Faults): KeyProviders {
  return {
    get: async (name) => {
      const kms = providers.get(name)
      if (kms === undefined) throw new ControlPlaneError('not-found', `there is no key provider ${name}`)
      return kms.provider(faults)
    },
  }
}

/** Each query is a point at which the process may die; what a transaction did until then is rolled back. */
export class FaultyDatabase implements KyselyPlugin {
  readonly #faults: Faults

  constructor(faults: Faults) {
    this.#faults = faults
  }

  transformQuery({ node }: PluginTransformQueryArgs) {
    this.#faults.at({ name: `db ${node.kind}`, when: 'before' })
    return node
  }

  async transformResult({ result }: PluginTransformResultArgs) {
    this.#faults.rowsRead += result.rows.length
    return result
  }
}
