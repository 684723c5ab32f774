import type { CampaignPlan } from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import type { CampaignRow, CampaignRunRow } from '../../../database/campaign-rows.ts'
import { pause } from '../../pause.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import type { VmRequests } from '../vms/vm-requests.ts'
import { CampaignAdvance } from './campaign-advance.ts'
import { findRun, planOf } from './campaign-store.ts'
import { nextRunAt } from './schedule.ts'
import { chooseVms } from './selection.ts'

/**
 * Carries campaigns out: begins runs when their time has come, and goes on with those that are open. All that it knows
 * is in the database, and a VM's task is written together with the VM's state in the run, so that a restart in the
 * middle loses nothing and does nothing twice.
 */
export class CampaignEngine {
  readonly #work: WorkContext
  readonly #advance: CampaignAdvance
  #background: Promise<void> | null = null
  #looking: Promise<void> = Promise.resolve()

  /** `principalOf`: a user with what they may do now. */
  constructor(
    work: WorkContext,
    requests: VmRequests,
    runner: TaskRunner,
    principalOf: (user: string) => Promise<Principal>,
  ) {
    this.#work = work
    this.#advance = new CampaignAdvance(work, requests, runner, principalOf)
  }

  /** From now on campaigns are carried out. */
  start(): void {
    this.#background ??= this.#keepLooking()
  }

  /** Resolves when nothing goes on in the background any more. */
  async stopped(): Promise<void> {
    await this.#background
    await this.#looking
  }

  /** Looks at all campaigns now; looks come one after another. */
  look(): Promise<void> {
    const next = this.#looking.then(() => this.#lookOnce())
    this.#looking = next.catch(() => undefined)
    return next
  }

  /** Begins a run of a campaign that has none under way; within a transaction. */
  async beginRun(database: Database, campaign: CampaignRow, startedBy: string): Promise<CampaignRunRow> {
    const now = this.#work.clock()
    const before = await findRun(database, campaign.id)
    const run: CampaignRunRow = {
      id: v7(),
      campaign_id: campaign.id,
      number: (before?.number ?? 0) + 1,
      state: 'running',
      started_by: startedBy,
      started_at: now,
      ended_at: null,
      waits_for: null,
      trouble_until: null,
      trouble_count: 0,
    }
    const plan = planOf(campaign)
    const chosen = await chooseVms(database, withoutVmsThatAreGone(plan, await namesOf(database)), now)
    await database.insertInto('campaign_run').values(run).execute()
    for (const { vm, keys } of chosen) {
      await database
        .insertInto('campaign_item')
        .values({
          run_id: run.id,
          vm_id: vm.row.id,
          vm_name: vm.row.name,
          state: 'pending',
          text: '',
          tries: 0,
          retry_at: 0,
          task_id: null,
          held: 0,
          old_keys: JSON.stringify(keys.map(({ provider, keyId }) => ({ provider, keyId }))),
          new_provider: null,
          new_key_id: null,
        })
        .execute()
    }
    await database
      .updateTable('campaign')
      .set({ next_run_at: nextRunAt(plan, now) })
      .where('id', '=', campaign.id)
      .execute()
    return run
  }

  async #keepLooking(): Promise<void> {
    const { stopping, timings, log } = this.#work
    while (!stopping.aborted) {
      try {
        await this.look()
      } catch (error) {
        if (stopping.aborted) return
        log.error({ err: error }, 'campaigns could not be looked at; it is tried again')
      }
      await pause(timings.campaignsMs, stopping).catch(() => undefined)
    }
  }

  async #lookOnce(): Promise<void> {
    const { database, stopping, clock } = this.#work
    const due = await database
      .selectFrom('campaign')
      .selectAll()
      .where('next_run_at', '<=', clock())
      .where('paused', '=', 0)
      .execute()
    for (const campaign of due) {
      stopping.throwIfAborted()
      await this.#beginDue(campaign)
    }
    const open = await database
      .selectFrom('campaign_run')
      .innerJoin('campaign', 'campaign.id', 'campaign_run.campaign_id')
      .selectAll('campaign_run')
      .select(['campaign.name', 'campaign.plan', 'campaign.paused', 'campaign.created_by'])
      .where((where) =>
        where.or([
          where('campaign_run.state', '=', 'running'),
          // What was under way when it was cancelled comes to its end.
          where(
            'campaign_run.id',
            'in',
            where.selectFrom('campaign_item').select('run_id').where('campaign_item.state', '=', 'running'),
          ),
        ]),
      )
      .orderBy('campaign_run.started_at')
      .execute()
    for (const { name, plan, paused, created_by, ...run } of open) {
      stopping.throwIfAborted()
      await this.#advance.advance({ run, name, plan: planOf({ plan }), paused: paused === 1, owner: created_by })
    }
  }

  /** One whose last run is not over yet leaves this one out. */
  async #beginDue(campaign: CampaignRow): Promise<void> {
    await this.#work.events.transaction(async (transaction, record) => {
      const last = await findRun(transaction, campaign.id)
      if (last?.state === 'running') {
        await transaction
          .updateTable('campaign')
          .set({ next_run_at: nextRunAt(planOf(campaign), this.#work.clock()) })
          .where('id', '=', campaign.id)
          .execute()
        return
      }
      const run = await this.beginRun(transaction, campaign, campaign.created_by)
      const text = `Run ${run.number} of the rekey campaign ${campaign.name} began by its schedule`
      await record({ type: 'campaign.started', text, user: campaign.created_by })
    })
  }
}

/** A campaign outlives VMs that it names. */
function withoutVmsThatAreGone(plan: CampaignPlan, names: ReadonlySet<string>): CampaignPlan {
  const { vms } = plan.selection
  if (vms === undefined) return plan
  return { ...plan, selection: { ...plan.selection, vms: vms.filter((name) => names.has(name)) } }
}

async function namesOf(database: Database): Promise<ReadonlySet<string>> {
  return new Set((await database.selectFrom('vm').select('name').execute()).map(({ name }) => name))
}
