import type { ExposedKey, HostKeyChoice, MoveHost } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { HostRow, TaskRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { clusterPath } from '../../inventory/object-paths.ts'
import { keyReference, keyText } from '../../key-reference.ts'
import type { Principal } from '../../ports.ts'
import { isRehearsed } from '../../rehearsal.ts'
import type { WorkContext } from '../context.ts'
import { cryptoOff, type HostKeys, isCryptoSafe } from '../keys/host-keys.ts'
import { requireNoOrder } from '../keys/orders/order-store.ts'
import type { SagaDefinition, SagaState } from '../sagas/definition.ts'
import type { Sagas } from '../sagas/sagas.ts'
import { findProvider, hostsOfCluster } from '../vms/lookup.ts'
import { exposedKeys } from './exposed-keys.ts'
import type { HandOver } from './hand-over.ts'
import { hostDecommissionSaga } from './host-decommission.ts'
import { claimDeparture, type DepartureState } from './host-departure.ts'
import { type HostDisableState, hostDisableSaga, isPendingIncapable } from './host-disable.ts'
import { type HostEnableState, hostEnableSaga } from './host-enable.ts'
import { clusterOf, hostNamed, isLeaving, isOutOfUse } from './host-lookup.ts'
import { type HostMoveState, hostMoveSaga } from './host-move.ts'
import { type HostRekeyState, hostRekeySaga } from './host-rekey.ts'
import { type HostRemovalState, hostRemovalSaga, removalOf, takeOut } from './host-removal.ts'
import { checkHostRemoval, checkNoEncryptedVms } from './removal-check.ts'

/** What is begun for several hosts, and which were left out and why. */
export interface StartedForHosts {
  readonly tasks: readonly TaskRow[]
  readonly skipped: readonly { readonly host: string; readonly reason: string }[]
}

/** What operators do with the encryption of hosts; each is a task. Everything is checked before it begins. */
export class HostAdministration {
  readonly #work: WorkContext
  readonly #again: (hostId: string) => void
  readonly #enable: SagaDefinition<HostEnableState>
  readonly #disable: SagaDefinition<HostDisableState>
  readonly #rekey: SagaDefinition<HostRekeyState>
  readonly #move: SagaDefinition<HostMoveState>
  readonly #decommission: SagaDefinition<DepartureState>
  readonly #removal: SagaDefinition<HostRemovalState>
  #sagas: Sagas | null = null

  /** `again` is told of hosts that are to be brought up to date, `leaves` of those that are not any more. */
  constructor(
    work: WorkContext,
    hostKeys: HostKeys,
    handOver: HandOver,
    again: (hostId: string) => void,
    leaves: (hostId: string) => void,
  ) {
    this.#work = work
    this.#again = again
    this.#enable = hostEnableSaga(work, hostKeys, again)
    this.#disable = hostDisableSaga(work, again)
    this.#rekey = hostRekeySaga(work, hostKeys, handOver)
    this.#move = hostMoveSaga(work, again)
    this.#decommission = hostDecommissionSaga(work, again)
    this.#removal = hostRemovalSaga(work, leaves)
  }

  /** The kinds of its tasks, for whoever carries tasks out. */
  get definitions(): readonly SagaDefinition<SagaState>[] {
    return [this.#enable, this.#disable, this.#rekey, this.#move, this.#decommission, this.#removal]
  }

  /** Says who begins tasks; before anything is asked for. */
  use(sagas: Sagas): void {
    this.#sagas = sagas
  }

  /** Makes a host crypto-safe, or, where it is and another key is named, gives it that key. */
  async enable(principal: Principal, name: string, choice: HostKeyChoice): Promise<TaskRow> {
    const host = await hostNamed(this.#work.database, name)
    const { existing, provider } = await this.#choice(choice)
    const current = keyReference(host.host_key_provider, host.host_key_id)
    if (current !== null && existing !== null && keyText(current) !== keyText(existing)) {
      return this.rekey(principal, name, choice)
    }
    if (isLeaving(host)) throw cryptoOff(host)
    if (isPendingIncapable(host)) {
      throw new ControlPlaneError(
        'host-incapable',
        `host ${host.name} is pendingIncapable: it did not confirm that it forgot its keys when encryption was disabled. Start its agent first: it does so when it connects`,
        { field: 'host' },
      )
    }
    this.#requireCapable(host)
    const state = { hostId: host.id, hostName: host.name, existing, provider, offAt: host.crypto_off_at }
    return this.#begin(this.#enable, host, state, principal)
  }

  /** Throws `in-use` while encrypted VMs are on the host. */
  async disable(principal: Principal, name: string): Promise<TaskRow> {
    const host = await hostNamed(this.#work.database, name)
    await checkNoEncryptedVms(this.#work.database, host)
    if (host.leaving_task_id !== null) throw cryptoOff(host)
    return this.#begin(
      this.#disable,
      host,
      {
        hostId: host.id,
        hostName: host.name,
        wasConnected: this.#work.hostConnections.get(host.id) !== null,
        forgotten: null,
      },
      principal,
    )
  }

  /** Gives a crypto-safe host another host key. */
  async rekey(principal: Principal, name: string, choice: HostKeyChoice): Promise<TaskRow> {
    const host = await hostNamed(this.#work.database, name)
    const { existing, provider } = await this.#choice(choice)
    const why = this.#cannotRekey(host)
    if (why !== null) throw new ControlPlaneError('host-incapable', `host ${host.name} ${why}`, { field: 'host' })
    return this.#beginRekey(principal, host, existing, provider)
  }

  /** As `rekey` for every host of a cluster that can be given another key now; says which cannot. */
  async rekeyCluster(
    principal: Principal,
    clusterName: string,
    choice: Pick<HostKeyChoice, 'keyProvider'>,
  ): Promise<StartedForHosts> {
    const cluster = await clusterOf(this.#work.database, clusterName)
    const { provider } = await this.#choice(choice)
    const tasks: TaskRow[] = []
    const skipped: StartedForHosts['skipped'][number][] = []
    for (const host of await hostsOfCluster(this.#work.database, cluster.id)) {
      const reason = this.#cannotRekey(host)
      if (reason === null) tasks.push(await this.#beginRekey(principal, host, null, provider))
      else skipped.push({ host: host.name, reason })
    }
    return { tasks, skipped }
  }

  /** Throws `in-use` while VMs are on the host. */
  async move(principal: Principal, name: string, { cluster, acceptExposure }: MoveHost): Promise<TaskRow> {
    const { database } = this.#work
    const host = await hostNamed(database, name)
    const to = await clusterOf(database, cluster)
    requirePrivileges(principal, contentRules.moveHostInto.privileges, clusterPath(to.id, to.name))
    if (to.id === host.cluster_id) {
      throw new ControlPlaneError('invalid', `cluster: host ${host.name} is in cluster ${to.name} already`, {
        field: 'cluster',
      })
    }
    const state = { ...(await this.#departure(host, acceptExposure)), toId: to.id, to: to.name }
    return this.#begin(this.#move, host, state, principal, true)
  }

  /** Throws `in-use` while VMs are on the host. */
  async decommission(
    principal: Principal,
    name: string,
    { acceptExposure }: Pick<MoveHost, 'acceptExposure'>,
  ): Promise<TaskRow> {
    const host = await hostNamed(this.#work.database, name)
    if (host.decommissioned_at !== null) {
      throw new ControlPlaneError('invalid', `host ${host.name} is decommissioned already: remove it («host remove»)`, {
        field: 'host',
      })
    }
    return this.#begin(this.#decommission, host, await this.#departure(host, acceptExposure), principal, true)
  }

  /** Takes a host out for good; it is out when this settles. Throws `in-use` while VMs are on it. */
  async remove(principal: Principal, host: HostRow): Promise<TaskRow> {
    const { clock } = this.#work
    if (this.#sagas === null) throw new Error('nobody begins tasks yet')
    return this.#sagas.begin({
      definition: this.#removal,
      target: { kind: 'host', id: host.id, name: host.name },
      state: removalOf(host),
      principal,
      claim: (transaction, taskId, record) =>
        takeOut(transaction, (event) => record({ task: taskId, ...event }), host, principal.name, clock()),
    })
  }

  /** Sets when the hosts of a cluster are made crypto-safe. */
  async setCryptoMode(principal: Principal, clusterName: string, mode: 'on-demand' | 'force-enable'): Promise<void> {
    const cluster = await clusterOf(this.#work.database, clusterName)
    const forced = mode === 'force-enable' ? 1 : 0
    if ((cluster.crypto_forced ?? 0) === forced) return
    await this.#work.events.transaction(async (transaction, record) => {
      await transaction.updateTable('cluster').set({ crypto_forced: forced }).where('id', '=', cluster.id).execute()
      const text =
        forced === 1
          ? `The hosts of cluster ${cluster.name} are made crypto-safe as soon as they are connected`
          : `The hosts of cluster ${cluster.name} are made crypto-safe when that is needed`
      await record({ type: 'cluster.crypto-mode-changed', text, user: principal.name })
    })
    if (isRehearsed()) return
    for (const host of await hostsOfCluster(this.#work.database, cluster.id)) this.#again(host.id)
  }

  /** Keys that hosts which left may still hold; of one host, or all. */
  exposed(host?: string): Promise<ExposedKey[]> {
    return exposedKeys(this.#work.database, host)
  }

  async #departure(host: HostRow, acceptExposure: boolean | undefined): Promise<DepartureState> {
    await checkHostRemoval(this.#work.database, host)
    if (host.leaving_task_id !== null) throw cryptoOff(host)
    if (acceptExposure !== true && this.#work.hostConnections.get(host.id) === null && isCryptoSafe(host)) {
      throw new ControlPlaneError(
        'host-disconnected',
        `host ${host.name} is not connected, so it cannot confirm that it forgets its keys: start its agent and try again, or accept with --accept-exposure that whoever has the machine may have them`,
      )
    }
    const { name } = await this.#work.database
      .selectFrom('cluster')
      .select('name')
      .where('id', '=', host.cluster_id)
      .executeTakeFirstOrThrow()
    return {
      hostId: host.id,
      hostName: host.name,
      cluster: name,
      acceptExposure: acceptExposure === true,
      wasConnected: this.#work.hostConnections.get(host.id) !== null,
      forgotten: [],
      exposed: [],
    }
  }

  async #choice({ keyProvider, keyId }: HostKeyChoice): Promise<{
    readonly existing: KeyReference | null
    readonly provider: string | null
  }> {
    const { database } = this.#work
    if (keyId === undefined) {
      return { existing: null, provider: keyProvider === undefined ? null : await findProvider(database, keyProvider) }
    }
    const existing = { provider: await findProvider(database, keyProvider), keyId }
    await requireNoOrder(database, existing)
    return { existing, provider: null }
  }

  /** Why a host cannot be given another host key now, in words after its name; `null`: it can. */
  #cannotRekey(host: HostRow): string | null {
    if (isOutOfUse(host)) return 'takes no keys: see «host show»'
    if (!isCryptoSafe(host)) return 'is not crypto-safe, so it has no host key: see «host crypto enable»'
    const connection = this.#work.hostConnections.get(host.id)
    if (connection === null) return 'is not connected: start its agent'
    return connection.cryptoSupported ? null : "takes no keys: see «crypto» in its agent's configuration"
  }

  #requireCapable(host: HostRow): void {
    const connection = this.#work.hostConnections.get(host.id)
    if (connection === null) {
      throw new ControlPlaneError(
        'host-disconnected',
        `host ${host.name} is not connected: start its agent, see «host list», and try again`,
      )
    }
    if (connection.cryptoSupported) return
    throw new ControlPlaneError(
      'host-incapable',
      `host ${host.name} does not support encryption: change «crypto» in its agent's configuration, or use another host`,
      { field: 'host' },
    )
  }

  #beginRekey(
    principal: Principal,
    host: HostRow,
    existing: KeyReference | null,
    provider: string | null,
  ): Promise<TaskRow> {
    const old = keyReference(host.host_key_provider, host.host_key_id)
    const state = { hostId: host.id, hostName: host.name, existing, provider, old, key: null }
    return this.#begin(this.#rekey, host, state, principal)
  }

  /** One task at a time for each host. */
  async #begin<State extends SagaState>(
    definition: SagaDefinition<State>,
    host: HostRow,
    state: State,
    principal: Principal,
    departs = false,
  ): Promise<TaskRow> {
    if (this.#sagas === null) throw new Error('nobody begins tasks yet')
    return this.#sagas.begin({
      definition,
      target: { kind: 'host', id: host.id, name: host.name },
      state,
      principal,
      claim: async (transaction, taskId) => {
        const other = await transaction
          .selectFrom('task')
          .select(['id', 'type'])
          .where('target_kind', '=', 'host')
          .where('target_id', '=', host.id)
          .where('state', 'in', ['queued', 'running'])
          .where('id', '!=', taskId)
          .executeTakeFirst()
        if (other !== undefined) {
          throw new ControlPlaneError(
            'in-use',
            `host ${host.name} is busy with task ${other.id} (${other.type}): wait for its end («task watch»), or cancel it`,
          )
        }
        if (departs) await claimDeparture(transaction, host.id, taskId)
      },
    })
  }
}
