import type { MigrateProvider } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pause } from '../../pause.ts'
import type { Principal } from '../../ports.ts'
import { isRehearsed, noteEffect } from '../../rehearsal.ts'
import type { WorkContext } from '../context.ts'
import type { HostAdministration } from '../hosts/host-administration.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import type { Sagas } from '../sagas/sagas.ts'
import { getTask } from '../tasks/task-store.ts'
import { isOver } from '../tasks/task-view.ts'
import { findProvider } from '../vms/lookup.ts'
import type { Campaigns } from './campaigns.ts'
import { providerReferences, referencesText } from './provider-references.ts'
import { chooseVms } from './selection.ts'

/** What a migration remembers. */
export interface MigrationState {
  readonly from: string
  readonly to: string
  readonly depth: 'shallow' | 'deep'
  readonly atOnceMax: number | null
  readonly perHostMax: number | null
}

type Run = SagaRun<MigrationState>

/** What of the work a migration needs; given when tasks begin. */
export interface MigrationParts {
  readonly campaigns: Campaigns
  readonly hosts: HostAdministration
  /** A user with the privileges that they have now. Throws `no-privilege` when there is no such user any more. */
  readonly principalOf: (user: string) => Promise<Principal>
}

/**
 * Moves everything from one key provider to another: defaults and policies, VMs by a rekey campaign, host keys. Nothing
 * of it is taken back: each part that was moved is whole, so whoever runs it again goes on with what is left.
 */
export class ProviderMigration {
  readonly #work: WorkContext
  readonly #parts: () => MigrationParts
  readonly definition: SagaDefinition<MigrationState>

  constructor(work: WorkContext, parts: () => MigrationParts) {
    this.#work = work
    this.#parts = parts
    this.definition = {
      type: 'key-provider.migrate',
      steps: [
        { name: 'finding out whether the new provider makes keys and gives them back', act: (run) => this.#probe(run) },
        { name: 'asking the new provider where the old one was asked', act: (run) => this.#moveDefaults(run) },
        { name: 'rekeying the VMs', act: (run) => this.#rekeyVms(run) },
        { name: 'giving the hosts other host keys', act: (run) => this.#rekeyHosts(run) },
        { name: 'looking for what still needs the old provider', act: (run) => this.#check(run) },
      ],
      succeed: async (_transaction, record, { state, user }) => {
        const text = `Everything of key provider ${state.from} was moved to key provider ${state.to}: nothing needs ${state.from} any more. Old keys stay there for old backups («keys list --provider ${state.from}»)`
        await record({ type: 'key-provider.migrated', provider: state.from, text, user })
      },
      failed: async (_transaction, record, { state, user }, failure) => {
        const text = `Moving everything of key provider ${state.from} to ${state.to} did not come to its end: ${failure.message}. What was moved stays moved; run it again for the rest`
        await record({ type: 'key-provider.migration-failed', provider: state.from, text, user })
      },
    }
  }

  /** Begins the task. Throws `not-found`, and `invalid` for one and the same provider. */
  async begin(sagas: Sagas, from: string, request: MigrateProvider, by: Principal): Promise<TaskRow> {
    const { database } = this.#work
    const to = await findProvider(database, request.to, 'to')
    if (from === to) {
      throw new ControlPlaneError('invalid', `to: everything of ${from} is there already`, { field: 'to' })
    }
    const references = await providerReferences(database, from)
    const known = await database.selectFrom('key_provider').select('name').where('name', '=', from).executeTakeFirst()
    if (known === undefined && references.length === 0) {
      throw new ControlPlaneError('not-found', `there is no key provider ${from}, and nothing refers to one`)
    }
    if (isRehearsed()) {
      const lines = references.map(({ kind, name, part }) => `move ${kind} ${name}: ${part}`)
      const text = `${references.length} references to key provider ${from} would be moved to ${to}`
      noteEffect({ kind: 'event', type: 'key-provider.migrated', text, lines })
    }
    const { depth = 'shallow', atOnceMax = null, perHostMax = null } = request
    return sagas.begin({
      definition: this.definition,
      target: { kind: 'key-provider', id: from, name: from },
      state: { from, to, depth, atOnceMax, perHostMax },
      principal: by,
    })
  }

  async #probe({ state }: Run): Promise<undefined> {
    const provider = await this.#work.keyProviders.get(state.to)
    const { health, reason } = await provider.probe()
    if (health !== 'red') return undefined
    throw new ControlPlaneError('kms-unreachable', `key provider ${state.to} does not work: ${reason}`)
  }

  async #moveDefaults({ state }: Run): Promise<undefined> {
    const { from, to } = state
    await this.#work.events.transaction(async (transaction) => {
      await transaction.updateTable('provider_default').set({ provider: to }).where('provider', '=', from).execute()
      await transaction
        .updateTable('policy')
        .set((update) => ({ key_provider: to, version: update('version', '+', 1) }))
        .where('key_provider', '=', from)
        .execute()
      const row = await transaction
        .selectFrom('key_provider')
        .select('is_default')
        .where('name', '=', from)
        .executeTakeFirst()
      if (row?.is_default !== 1) return
      await transaction.updateTable('key_provider').set({ is_default: 0 }).execute()
      await transaction.updateTable('key_provider').set({ is_default: 1 }).where('name', '=', to).execute()
    })
    return undefined
  }

  /** The campaign is called after the task, so that there is one however often this begins anew. */
  async #rekeyVms(run: Run): Promise<undefined> {
    const { state, taskId, cancelling } = run
    const { campaigns, principalOf } = this.#parts()
    const { timings, stopping } = this.#work
    const name = campaignName(taskId)
    const by = await principalOf(run.user)
    const known = (await campaigns.list()).find((campaign) => campaign.name === name)
    const selection = { keyProvider: state.from }
    if (known === undefined) {
      if ((await chooseVms(this.#work.database, { selection, depth: state.depth }, this.#work.clock())).length === 0)
        return undefined
      const limits = {
        ...(state.atOnceMax === null ? {} : { atOnceMax: state.atOnceMax }),
        ...(state.perHostMax === null ? {} : { perHostMax: state.perHostMax }),
      }
      await campaigns.create({ name, plan: { selection, depth: state.depth, keyProvider: state.to, ...limits } }, by)
    }
    for (;;) {
      const { lastRun } = await campaigns.show(name)
      if (lastRun !== null) {
        const { pending, running, done, failed, skipped } = lastRun.counts
        const total = pending + running + done + failed + skipped
        run.progress(total - pending - running, total)
        if (lastRun.state !== 'running' && running === 0) break
        const waits = lastRun.waitsFor === null ? '' : `; waits for ${lastRun.waitsFor}`
        await run.step(`rekeying the VMs: ${done} of ${total} done${failed > 0 ? `, ${failed} failed` : ''}${waits}`)
      }
      try {
        await pause(timings.campaignsMs, AbortSignal.any([stopping, cancelling]))
      } catch (error) {
        stopping.throwIfAborted()
        if (!cancelling.aborted) throw error
        await campaigns.cancel(name, {}, by).catch(() => undefined)
        throw error
      }
    }
    return undefined
  }

  async #rekeyHosts(run: Run): Promise<undefined> {
    const { database } = this.#work
    const { hosts, principalOf } = this.#parts()
    const left: string[] = []
    const rows = await database
      .selectFrom('host')
      .select(['id', 'name'])
      .where('host_key_provider', '=', run.state.from)
      .orderBy('name')
      .execute()
    for (const [index, host] of rows.entries()) {
      await run.step(`giving the hosts other host keys: ${host.name}`)
      run.progress(index, rows.length)
      try {
        await this.#awaitHost(host.id, run.cancelling)
        const open = await this.#openRekey(host.id)
        const task = open ?? (await hosts.rekey(await principalOf(run.user), host.name, { keyProvider: run.state.to }))
        const ended = await this.#ended(task.id, run.cancelling)
        if (ended.state !== 'success') left.push(`${host.name}: ${ended.error_message ?? ended.state}`)
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        if (!(error instanceof ControlPlaneError)) throw error
        left.push(`${host.name}: ${error.message}`)
      }
    }
    if (left.length === 0) return undefined
    throw new ControlPlaneError('in-use', `hosts keep their host key: ${left.join('; ')}`)
  }

  /** After a restart of the control plane hosts take a while to come back; one that does not is told of. */
  async #awaitHost(hostId: string, cancelling: AbortSignal): Promise<void> {
    const { hostConnections, timings, stopping } = this.#work
    if (hostConnections.get(hostId) !== null) return
    const timeout = AbortSignal.timeout(timings.hostReturnMs)
    try {
      await hostConnections.waitFor(hostId, AbortSignal.any([stopping, cancelling, timeout]))
    } catch (error) {
      if (!timeout.aborted) throw error
    }
  }

  /** The rekey of a host that was begun before a restart. */
  async #openRekey(hostId: string): Promise<TaskRow | null> {
    const row = await this.#work.database
      .selectFrom('task')
      .selectAll()
      .where('type', '=', 'host.rekey')
      .where('target_id', '=', hostId)
      .where('state', 'in', ['queued', 'running'])
      .executeTakeFirst()
    return row ?? null
  }

  async #ended(taskId: string, cancelling: AbortSignal): Promise<TaskRow> {
    const { database, timings, stopping } = this.#work
    for (;;) {
      const row = await getTask(database, taskId)
      if (isOver(row)) return row
      await pause(timings.pollMs, AbortSignal.any([stopping, cancelling]))
    }
  }

  async #check({ state, taskId }: Run): Promise<undefined> {
    const left = await providerReferences(this.#work.database, state.from)
    if (left.length === 0) return undefined
    throw new ControlPlaneError(
      'in-use',
      `key provider ${state.from} is still needed by ${referencesText(left)}: «campaign report '${campaignName(taskId)}'» says why of VMs; mend that, and run the migration again («key-provider migrate ${state.from} ${state.to}»)`,
    )
  }
}

/** The campaign that rekeys the VMs of a migration. */
const campaignName = (taskId: string) => `migration ${taskId}`
