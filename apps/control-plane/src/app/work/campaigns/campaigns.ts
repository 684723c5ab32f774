import type {
  Campaign,
  CampaignPreview,
  CampaignReport,
  CancelCampaign,
  CreateCampaign,
} from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import type { CampaignRow } from '../../../database/campaign-rows.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { Scope } from '../../permissions/scope.ts'
import { Sight } from '../../permissions/sight.ts'
import type { Principal } from '../../ports.ts'
import { isRehearsed } from '../../rehearsal.ts'
import { orExists } from '../../unique.ts'
import type { WorkContext } from '../context.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { updateTask } from '../tasks/task-store.ts'
import { findProvider } from '../vms/lookup.ts'
import type { VmRequests } from '../vms/vm-requests.ts'
import { CampaignEngine } from './campaign-engine.ts'
import { campaignView, findCampaign, findRun, itemView, planOf, runView } from './campaign-store.ts'
import { checkSchedule, firstRunAt } from './schedule.ts'
import { chooseVms, previewOf, requireSeen } from './selection.ts'

/** Rekey campaigns: many VMs get new keys, within limits, at times, and however often the control plane starts anew. */
export class Campaigns {
  readonly #work: WorkContext
  readonly #runner: TaskRunner
  readonly #engine: CampaignEngine

  /** `principalOf`: a user with what they may do now; the tasks of a campaign are its maker's. */
  constructor(
    work: WorkContext,
    requests: VmRequests,
    runner: TaskRunner,
    principalOf: (user: string) => Promise<Principal>,
  ) {
    this.#work = work
    this.#runner = runner
    this.#engine = new CampaignEngine(work, requests, runner, principalOf)
  }

  /** From now on campaigns are carried out. */
  start(): void {
    this.#engine.start()
  }

  /** Resolves when nothing goes on in the background any more. */
  stopped(): Promise<void> {
    return this.#engine.stopped()
  }

  /** By name. */
  async list(): Promise<Campaign[]> {
    const { database } = this.#work
    const rows = await database.selectFrom('campaign').selectAll().orderBy('name').execute()
    return Promise.all(rows.map((row) => campaignView(database, row)))
  }

  /** By name or ID. Throws `not-found`. */
  async show(nameOrId: string): Promise<Campaign> {
    const { database } = this.#work
    return campaignView(database, await findCampaign(database, nameOrId))
  }

  /**
   * Makes a campaign; it begins by its schedule, or at once. Throws `invalid` and `not-found`, naming the field, and
   * `already-exists`.
   */
  async create({ name, plan }: CreateCampaign, by: Principal): Promise<Campaign> {
    const { database, events, clock } = this.#work
    checkSchedule(plan)
    if (plan.keyProvider !== undefined) await findProvider(database, plan.keyProvider, 'plan.keyProvider')
    if (plan.depth === 'shallow' && plan.bytesPerSecondMax !== undefined) {
      const message = 'plan.bytesPerSecondMax: a shallow rekey moves no data, so there is nothing to slow down'
      throw new ControlPlaneError('invalid', message, { field: 'plan.bytesPerSecondMax' })
    }
    const chosen = await chooseVms(database, plan, clock())
    requireSeen(plan, chosen, await Sight.of(database, by))
    const row: CampaignRow = {
      id: v7(),
      name,
      plan: JSON.stringify(plan),
      paused: 0,
      created_by: by.name,
      created_at: clock(),
      next_run_at: firstRunAt(plan, clock()),
    }
    await orExists('name', `there is a campaign ${name} already: choose another name`, () =>
      events.transaction(async (transaction, record) => {
        await transaction.insertInto('campaign').values(row).execute()
        const count = `${chosen.length} ${chosen.length === 1 ? 'VM is' : 'VMs are'} among those now`
        const text = `The rekey campaign ${name} (${plan.depth}) was made; ${count}`
        await record({ type: 'campaign.changed', text, user: by.name })
      }),
    )
    return this.show(row.id)
  }

  /** What a run of such a campaign that began now would do. Throws as `create`. */
  async preview({ plan }: Pick<CreateCampaign, 'plan'>, by: Principal): Promise<CampaignPreview> {
    checkSchedule(plan)
    return previewOf(this.#work, plan, await Sight.of(this.#work.database, by))
  }

  /** Begins a run now. Throws `not-found`, and `in-use` while one is under way. */
  async startRun(nameOrId: string, by: Principal): Promise<Campaign> {
    await this.#work.events.transaction(async (transaction, record) => {
      const row = await findCampaign(transaction, nameOrId)
      if ((await findRun(transaction, row.id))?.state === 'running') {
        const message = `a run of the campaign ${row.name} is under way: wait for it, or cancel it`
        throw new ControlPlaneError('in-use', message)
      }
      const run = await this.#engine.beginRun(transaction, row, by.name)
      const text = `Run ${run.number} of the rekey campaign ${row.name} was begun`
      await record({ type: 'campaign.started', text, user: by.name })
    })
    return this.show(nameOrId)
  }

  /** Begins nothing more until it is resumed; what is being rekeyed comes to its end. Throws `not-found`. */
  pause(nameOrId: string, by: Principal): Promise<Campaign> {
    return this.#setPaused(nameOrId, true, by)
  }

  resume(nameOrId: string, by: Principal): Promise<Campaign> {
    return this.#setPaused(nameOrId, false, by)
  }

  /** Ends the run that is under way: what was not begun is left out. Throws `not-found`. */
  async cancel(nameOrId: string, { tasks = false }: CancelCampaign, by: Principal): Promise<Campaign> {
    const { events, database } = this.#work
    const row = await findCampaign(database, nameOrId)
    const cancelled = await events.transaction(async (transaction, record) => {
      const run = await findRun(transaction, row.id)
      if (run?.state !== 'running') {
        throw new ControlPlaneError('invalid', `no run of the campaign ${row.name} is under way`)
      }
      await transaction
        .updateTable('campaign_item')
        .set({ state: 'skipped', text: 'the run was cancelled' })
        .where('run_id', '=', run.id)
        .where('state', '=', 'pending')
        .execute()
      const items = await transaction
        .selectFrom('campaign_item')
        .select('task_id')
        .where('run_id', '=', run.id)
        .where('state', '=', 'running')
        .execute()
      const taskIds = items.flatMap(({ task_id }) => (task_id === null ? [] : [task_id]))
      if (tasks) for (const id of taskIds) await updateTask(transaction, id, { cancel_requested: 1 })
      await transaction
        .updateTable('campaign_run')
        .set({ state: 'cancelled', ended_at: this.#work.clock(), waits_for: null })
        .where('id', '=', run.id)
        .execute()
      const text = `Run ${run.number} of the rekey campaign ${row.name} was cancelled${taskIds.length === 0 || tasks ? '' : '; what is being rekeyed comes to its end'}`
      await record({ type: 'campaign.ended', text, user: by.name })
      return tasks ? taskIds : []
    })
    if (!isRehearsed()) for (const id of cancelled) this.#runner.get(id)?.cancel()
    return this.show(row.id)
  }

  /** Throws `not-found`, and `in-use` while a run is under way. */
  async remove(nameOrId: string, by: Principal): Promise<void> {
    await this.#work.events.transaction(async (transaction, record) => {
      const row = await findCampaign(transaction, nameOrId)
      if ((await findRun(transaction, row.id))?.state === 'running') {
        const message = `a run of the campaign ${row.name} is under way: wait for it, or cancel it first`
        throw new ControlPlaneError('in-use', message)
      }
      await transaction.deleteFrom('campaign').where('id', '=', row.id).execute()
      const text = `The rekey campaign ${row.name} was removed with the reports of its runs`
      await record({ type: 'campaign.changed', text, user: by.name })
    })
  }

  /** What became of the last run, or of run `number`; of the VMs that `by` may see. Throws `not-found`. */
  async report(nameOrId: string, by: Principal, number?: number): Promise<CampaignReport> {
    const { database } = this.#work
    const row = await findCampaign(database, nameOrId)
    const run = await findRun(database, row.id, number)
    if (run === null) {
      const which = number === undefined ? 'has not run yet' : `has no run ${number}`
      throw new ControlPlaneError('not-found', `the campaign ${row.name} ${which}`)
    }
    const scope = await Scope.of(database, by, 'System.Read')
    const items = await database
      .selectFrom('campaign_item')
      .selectAll()
      .where('run_id', '=', run.id)
      .$if(!scope.everywhere, (select) =>
        select.where((where) =>
          where.or([
            where('vm_id', 'in', scope.vmIds),
            // Those that are gone.
            where('vm_id', 'not in', where.selectFrom('vm').select('vm.id')),
          ]),
        ),
      )
      .orderBy('vm_name')
      .execute()
    return { campaign: row.name, run: await runView(database, run), items: items.map(itemView) }
  }

  async #setPaused(nameOrId: string, paused: boolean, by: Principal): Promise<Campaign> {
    await this.#work.events.transaction(async (transaction, record) => {
      const row = await findCampaign(transaction, nameOrId)
      if ((row.paused === 1) === paused) return
      await transaction
        .updateTable('campaign')
        .set({ paused: Number(paused) })
        .where('id', '=', row.id)
        .execute()
      const text = `The rekey campaign ${row.name} (${planOf(row).depth}) was ${paused ? 'paused' : 'resumed'}`
      await record({ type: 'campaign.changed', text, user: by.name })
    })
    return this.show(nameOrId)
  }
}
