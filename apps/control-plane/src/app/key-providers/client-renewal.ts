import type { Kysely } from 'kysely'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import type { EventLog } from '../events.ts'
import type { Log } from '../log.ts'
import type { Principal } from '../ports.ts'
import type { ClientTrusts } from './client-trust.ts'
import { identityOf } from './provider-rows.ts'
import { renewalTime } from './renewal-time.ts'

const lookEveryMs = 3_600_000
const firstLookMs = 30_000

/** Nobody's rights are asked for: what is renewed was set up by somebody who had them. */
const system: Principal = { name: 'system', privileges: new Set(), can: () => false, grantedOn: [] }

/**
 * Renews client certificates that were made here at two thirds of their life. One that needs a person at the key server is
 * prepared, and an event says what to do; whatever is prepared is tried again and again until the servers take it.
 */
export class ClientRenewal {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #trusts: ClientTrusts
  readonly #clock: Clock
  readonly #log: Log

  constructor(database: Kysely<Schema>, events: EventLog, trusts: ClientTrusts, clock: Clock, log: Log) {
    this.#database = database
    this.#events = events
    this.#trusts = trusts
    this.#clock = clock
    this.#log = log
  }

  /** Looks soon and then every hour, until the answer is disposed of. */
  start(): Disposable {
    const first = setTimeout(() => void this.look(), firstLookMs)
    const timer = setInterval(() => void this.look(), lookEveryMs)
    for (const each of [first, timer]) each.unref()
    return {
      [Symbol.dispose]: () => {
        clearTimeout(first)
        clearInterval(timer)
      },
    }
  }

  /** Does what is due now. Never throws: what failed is tried again at the next look. */
  async look(): Promise<void> {
    try {
      const providers = await this.#database.selectFrom('key_provider').select('name').orderBy('name').execute()
      for (const { name } of providers) await this.#lookAt(name)
    } catch (error) {
      this.#log.error({ err: error }, 'client certificates for key servers could not be looked through')
    }
  }

  async #lookAt(name: string): Promise<void> {
    try {
      const active = await identityOf(this.#database, name, 'active')
      const prepared = await identityOf(this.#database, name, 'prepared')
      if (prepared !== null) {
        if (prepared.certificate !== '' && active !== null) await this.#trusts.activate(name, false, system)
        return
      }
      if (active !== null && this.#isDue(active)) await this.#renew(name, active)
    } catch (error) {
      this.#log.warn({ err: error, provider: name }, 'the client certificate for a key provider could not be renewed')
    }
  }

  #isDue(identity: ProviderIdentityRow): boolean {
    const time = renewalTime(identity)
    return time !== null && time <= this.#clock()
  }

  async #renew(name: string, { way }: ProviderIdentityRow): Promise<void> {
    const { prepared, next } = await this.#trusts.prepare(name, { way }, system)
    if (prepared === null) return
    await this.#events.record({
      type: 'key-provider.client-certificate-due',
      provider: name,
      text: `the client certificate for key provider ${name} has two thirds of its life behind it, and a new one was made; the old one goes on until its end. Next: ${next}`,
    })
  }
}
