import type { HostKeyPersistence } from '@cryptvisor/control-plane-api'
import type { HostAgentClient, HostStatus } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { timeTextOrNull } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection, Principal } from '../../ports.ts'
import { isRehearsed } from '../../rehearsal.ts'
import { isOnHold } from '../../system/installation.ts'
import { askedOf } from '../agent-refusal.ts'
import type { Database, WorkContext } from '../context.ts'
import { requireConnection } from '../vms/change-request.ts'
import { hostNamed, isOutOfUse } from './host-lookup.ts'
import { chooseNoPersistence, confirmNothingKept } from './kept-keys.ts'

/** Whether hosts keep their keys across restarts, sealed to their TPM. Off until somebody switches it on, host by host. */
export class HostKeyPersistences {
  readonly #work: WorkContext

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** What was chosen, and what the host says. Throws `not-found`. */
  async show(nameOrId: string): Promise<HostKeyPersistence> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const { key_persistence_days: keepDays, keys_kept_days: mayKeepDays } = host
    const chosen = { keepDays, since: timeTextOrNull(host.key_persistence_since), mayKeepDays }
    const status = await this.#statusOf(host)
    if (status === null) return { ...chosen, onHost: null }
    const { isOn, keyCount, keptUntilMs, tpmProblem, problem } = status.keyPersistence
    const keptUntil = timeTextOrNull(keptUntilMs)
    return { ...chosen, onHost: { isOn, keyCount, keptUntil, tpmProblem, problem, memory: status.keyMemory } }
  }

  /**
   * Switches it on: the keys that the host holds are on its disk when this resolves. Throws `host-disconnected`, `invalid` where encryption is
   * disabled, and what the host refuses it with: it has no TPM.
   */
  async enable(principal: Principal, nameOrId: string, keepDays: number): Promise<void> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const connection = requireConnection(this.#work, host)
    if (!connection.cryptoSupported || isOutOfUse(host)) {
      throw new ControlPlaneError(
        'invalid',
        `host ${host.name} is given no keys that it could keep: see «host crypto enable»`,
      )
    }
    await this.#checkTpm(host, connection)
    // First here: what an agent keeps and nobody knows of is erased when it is next brought up to date.
    await this.#work.events.transaction(async (transaction, record) => {
      await choose(transaction, host.id, {
        key_persistence_days: keepDays,
        key_persistence_since: host.key_persistence_since ?? this.#work.clock(),
        keys_kept_days: mayKeep(host, keepDays),
      })
      const text = `Host ${host.name} keeps its keys across restarts, sealed to its TPM, for up to ${keepDays} days without the control plane`
      await record({ type: 'host.key-persistence.enabled', host: host.name, text, user: principal.name })
    })
    if (isRehearsed()) return
    try {
      await askedOf(host.name, connection.client.enableKeyPersistence({ keepDays }))
    } catch (error) {
      await this.#takeBack(host, error)
      throw error
    }
    await choose(this.#work.database, host.id, { keys_kept_days: keepDays })
  }

  /** Switches it off: at once where the host is connected, else when it comes again. */
  async disable(principal: Principal, nameOrId: string): Promise<void> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const connection = this.#work.hostConnections.get(host.id)
    await this.#work.events.transaction(async (transaction, record) => {
      await chooseNoPersistence(transaction, host.id)
      const when = connection === null ? 'erases what it has kept when it connects again' : 'erases what it has kept'
      const text = `Host ${host.name} keeps no keys across restarts any more, and ${when}`
      await record({ type: 'host.key-persistence.disabled', host: host.name, text, user: principal.name })
    })
    if (connection === null || isRehearsed()) return
    await askedOf(host.name, connection.client.disableKeyPersistence())
    await confirmNothingKept(this.#work.database, host.id)
  }

  /** `null`: it cannot be asked. */
  async #statusOf(host: HostRow): Promise<HostStatus | null> {
    try {
      return (await this.#work.hostConnections.get(host.id)?.client.host()) ?? null
    } catch (error) {
      if (!(error instanceof RestClientError)) throw error
      return null
    }
  }

  async #checkTpm(host: HostRow, connection: HostConnection): Promise<void> {
    const { keyPersistence } = await askedOf(host.name, connection.client.host())
    if (keyPersistence.tpmProblem === null) return
    throw new ControlPlaneError(
      'invalid',
      `host ${host.name} cannot keep keys: ${keyPersistence.tpmProblem}. They are kept under a TPM 2.0 or not at all: give it one (and tpm2-tools), start its agent anew, and try again`,
    )
  }

  /** It did not do it. Whether it has begun to is known of a refusal only. */
  async #takeBack(host: HostRow, error: unknown): Promise<void> {
    const refused = error instanceof ControlPlaneError && error.code !== 'agent-failed'
    await choose(this.#work.database, host.id, {
      key_persistence_days: host.key_persistence_days,
      key_persistence_since: host.key_persistence_since,
      ...(refused ? { keys_kept_days: host.keys_kept_days } : {}),
    })
  }
}

/**
 * Has a host that connects do as was chosen; whether it confirmed that. One that cannot keep its keys as chosen is to keep none, is reported,
 * and is given them as ever. Throws RestClientError when it cannot be asked.
 */
export async function bringPersistence(
  work: WorkContext,
  host: HostRow,
  client: HostAgentClient,
  first: boolean,
): Promise<boolean> {
  const keepDays = isOutOfUse(host) ? null : host.key_persistence_days
  try {
    if (keepDays !== null) {
      await choose(work.database, host.id, { keys_kept_days: mayKeep(host, keepDays) })
      await client.enableKeyPersistence({ keepDays })
      await choose(work.database, host.id, { keys_kept_days: keepDays })
      return true
    }
    return await keepsNothing(work, host, client)
  } catch (error) {
    if (!(error instanceof RestClientError) || error.code !== 'answered') throw error
    const text = `Host ${host.name} cannot keep its keys across restarts: ${error.message}`
    if (first) await work.events.record({ type: 'host.key-persistence.failed', host: host.name, text })
    return await keepsNothing(work, host, client)
  }
}

/** Has it erase what it has kept; whether it confirmed that. After a restore nothing is taken from it: what was chosen is not known here. */
async function keepsNothing(work: WorkContext, host: HostRow, client: HostAgentClient): Promise<boolean> {
  try {
    if (await isOnHold(work.database)) {
      const { keyPersistence } = await client.host()
      await choose(work.database, host.id, { keys_kept_days: keyPersistence.keepDays })
      return true
    }
    await client.disableKeyPersistence()
    await confirmNothingKept(work.database, host.id)
    return true
  } catch (error) {
    if (!(error instanceof RestClientError) || error.code !== 'answered') throw error
    work.log.warn({ err: error, host: host.id }, 'a host did not erase yet what it has kept')
    return false
  }
}

/** For how long it may keep them until it has confirmed that it does so for `keepDays`: what it was told before may still hold. */
const mayKeep = ({ keys_kept_days: before }: HostRow, keepDays: number) => Math.max(before ?? 0, keepDays)

async function choose(
  database: Database,
  hostId: string,
  values: Partial<Pick<HostRow, 'key_persistence_days' | 'key_persistence_since' | 'keys_kept_days'>>,
): Promise<void> {
  await database.updateTable('host').set(values).where('id', '=', hostId).execute()
}
