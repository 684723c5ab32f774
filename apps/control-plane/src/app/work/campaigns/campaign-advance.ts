import type { CampaignPlan } from '@cryptvisor/control-plane-api'
import type { CampaignItemRow, CampaignRunRow } from '../../../database/campaign-rows.ts'
import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { distinctKeys, keyText } from '../../key-reference.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { getTask } from '../tasks/task-store.ts'
import { isOver } from '../tasks/task-view.ts'
import type { VmRequests } from '../vms/vm-requests.ts'
import { authorityOf, keysOf, readVms } from '../vms/vm-store.ts'
import { countsOf, oldKeysOf } from './campaign-store.ts'
import { againMs, isProviderTrouble, ProviderTrouble } from './provider-trouble.ts'
import { isOpen } from './schedule.ts'
import { atOnceDefault, perHostDefault } from './selection.ts'
import { WindowPauses } from './window-pauses.ts'

/** A run that is under way, with what its campaign says. */
export interface OpenRun {
  readonly run: CampaignRunRow
  readonly name: string
  readonly plan: CampaignPlan
  readonly paused: boolean
  /** The user who made the campaign; its tasks are theirs. */
  readonly owner: string
}

const triesDefault = 3

/** Brings one run a step further: looks how its tasks are, and begins as many as may be under way. */
export class CampaignAdvance {
  readonly #work: WorkContext
  readonly #requests: VmRequests
  readonly #pauses: WindowPauses
  readonly #trouble: ProviderTrouble
  readonly #principalOf: (user: string) => Promise<Principal>

  constructor(
    work: WorkContext,
    requests: VmRequests,
    runner: TaskRunner,
    principalOf: (user: string) => Promise<Principal>,
  ) {
    this.#work = work
    this.#principalOf = principalOf
    this.#requests = requests
    this.#pauses = new WindowPauses(work, runner)
    this.#trouble = new ProviderTrouble(work)
  }

  async advance(open: OpenRun): Promise<void> {
    await this.#settle(open)
    const run = await this.#run(open.run.id)
    if (run?.state !== 'running') return
    const counts = await countsOf(this.#work.database, run.id)
    const { failuresMax } = open.plan
    const tooMany = failuresMax !== undefined && counts.failed > failuresMax
    if (tooMany) await this.#giveUpPending(run.id, `not begun, since more than ${failuresMax} VMs failed`)
    if (counts.running === 0 && (counts.pending === 0 || tooMany)) {
      await this.#end(open, tooMany ? 'stopped' : 'done')
      return
    }
    const inWindow = isOpen(open.plan.window, open.plan.timeZone, this.#work.clock())
    await this.#pauses.keep(run.id, !inWindow && open.plan.depth === 'deep')
    const reason = open.paused ? 'somebody to resume it' : inWindow ? troubleOf(run) : 'its window'
    await this.#sayWaiting(run, counts.pending === 0 ? null : reason)
    if (open.paused || !inWindow || tooMany) return
    await this.#begin({ ...open, run })
  }

  /** Puts on record how the tasks ended that are over. */
  async #settle({ run, plan, name }: OpenRun): Promise<void> {
    const { database } = this.#work
    const items = await database
      .selectFrom('campaign_item')
      .selectAll()
      .where('run_id', '=', run.id)
      .where('state', '=', 'running')
      .execute()
    for (const item of items) {
      const task = item.task_id === null ? null : await getTask(database, item.task_id).catch(() => null)
      if (task === null) {
        await this.#setItem(item, { state: 'failed', text: 'its task is not on record any more' })
      } else if (isOver(task)) {
        await this.#settleItem(run.id, name, item, task, plan.triesMax ?? triesDefault)
      }
    }
  }

  async #settleItem(
    runId: string,
    campaign: string,
    item: CampaignItemRow,
    task: TaskRow,
    triesMax: number,
  ): Promise<void> {
    if (task.state === 'success') {
      await this.#setItem(item, {
        state: 'done',
        text: '',
        new_provider: task.key_provider,
        new_key_id: task.key_id,
      })
      await this.#trouble.over(runId)
      return
    }
    const text = task.error_message ?? 'its task failed'
    if (task.state === 'cancelled') {
      await this.#setItem(item, { state: 'skipped', text: 'its task was cancelled' })
    } else if (isProviderTrouble(task.error_code)) {
      await this.#setItem(item, { state: 'pending', text, tries: item.tries - 1 })
      await this.#trouble.began(runId, campaign, text)
    } else if (item.tries < triesMax) {
      const retryAt = this.#work.clock() + againMs(this.#work.timings, item.tries - 1)
      await this.#setItem(item, { state: 'pending', text: `tried ${item.tries} times: ${text}`, retry_at: retryAt })
    } else {
      await this.#setItem(item, { state: 'failed', text })
    }
  }

  /** Begins tasks, as many as may be under way; while a provider cannot be had only one, to find out. */
  async #begin(open: OpenRun): Promise<void> {
    const { database, clock } = this.#work
    const { run, plan } = open
    const inTrouble = run.trouble_count > 0
    if (inTrouble && (run.trouble_until ?? 0) > clock()) return
    const busy = await this.#runningByHost(run.id)
    let runningCount = [...busy.values()].reduce((sum, count) => sum + count, 0)
    const atOnceMax = inTrouble ? 1 : (plan.atOnceMax ?? atOnceDefault)
    const perHostMax = plan.perHostMax ?? perHostDefault
    if (runningCount >= atOnceMax) return
    const pending = await database
      .selectFrom('campaign_item')
      .leftJoin('vm', 'vm.id', 'campaign_item.vm_id')
      .selectAll('campaign_item')
      .select('vm.host_id')
      .where('run_id', '=', run.id)
      .where('state', '=', 'pending')
      .where('retry_at', '<=', clock())
      .orderBy('vm_name')
      .execute()
    for (const { host_id, ...item } of pending) {
      if (runningCount >= atOnceMax || this.#work.stopping.aborted) return
      if (host_id === null) {
        await this.#setItem(item, { state: 'skipped', text: 'the VM is gone' })
        continue
      }
      if ((busy.get(host_id) ?? 0) >= perHostMax) continue
      if (!(await this.#beginOne(open, item))) continue
      busy.set(host_id, (busy.get(host_id) ?? 0) + 1)
      runningCount++
    }
  }

  /** Whether a task was begun. */
  async #beginOne({ run, plan, name, owner }: OpenRun, item: CampaignItemRow): Promise<boolean> {
    const { database, clock, stopping } = this.#work
    const [vm] = await readVms(database, { id: item.vm_id })
    const keys = vm === undefined ? [] : distinctKeys(keysOf(authorityOf(vm)))
    if (keys.length === 0) {
      await this.#setItem(item, { state: 'skipped', text: vm === undefined ? 'the VM is gone' : 'it is plain now' })
      return false
    }
    const old = new Set(oldKeysOf(item).map(keyText))
    if (!keys.some((key) => old.has(keyText(key)))) {
      await this.#setItem(item, { state: 'skipped', text: 'somebody else rekeyed it meanwhile' })
      return false
    }
    const { keyProvider, bytesPerSecondMax } = plan
    const request = {
      depth: plan.depth,
      ...(keyProvider === undefined ? {} : { keyProvider }),
      ...(plan.depth === 'deep' && bytesPerSecondMax !== undefined ? { bytesPerSecondMax } : {}),
    }
    try {
      await this.#requests.rekey(await this.#principalOf(owner), item.vm_id, request, async (transaction, taskId) => {
        const { numUpdatedRows } = await transaction
          .updateTable('campaign_item')
          .set({ state: 'running', task_id: taskId, tries: item.tries + 1, text: '' })
          .where('run_id', '=', run.id)
          .where('vm_id', '=', item.vm_id)
          .where('state', '=', 'pending')
          .executeTakeFirst()
        if (numUpdatedRows !== 1n) throw new ControlPlaneError('cancelled', 'the campaign does not want it any more')
      })
      return true
    } catch (error) {
      stopping.throwIfAborted()
      if (!(error instanceof ControlPlaneError)) throw error
      if (error.code === 'cancelled') return false
      if (isProviderTrouble(error.code)) {
        await this.#trouble.began(run.id, name, error.message)
      } else if (error.code === 'vm-busy' || error.code === 'host-disconnected' || error.code === 'send-key-failed') {
        // That is not the VM's fault: it is tried again for as long as the run goes on.
        await this.#setItem(item, { text: error.message, retry_at: clock() + againMs(this.#work.timings, 0) })
      } else if (error.code === 'not-found' || error.code === 'wrong-power-state') {
        await this.#setItem(item, { state: 'skipped', text: error.message })
      } else {
        await this.#setItem(item, { state: 'failed', text: error.message, tries: item.tries + 1 })
      }
      return false
    }
  }

  async #runningByHost(runId: string): Promise<Map<string, number>> {
    const rows = await this.#work.database
      .selectFrom('campaign_item')
      .innerJoin('vm', 'vm.id', 'campaign_item.vm_id')
      .select(['vm.host_id', (select) => select.fn.countAll<number>().as('count')])
      .where('run_id', '=', runId)
      .where('state', '=', 'running')
      .groupBy('vm.host_id')
      .execute()
    return new Map(rows.map(({ host_id, count }) => [host_id, Number(count)]))
  }

  async #sayWaiting(run: CampaignRunRow, reason: string | null): Promise<void> {
    if (run.waits_for === reason) return
    await this.#work.database.updateTable('campaign_run').set({ waits_for: reason }).where('id', '=', run.id).execute()
  }

  async #giveUpPending(runId: string, text: string): Promise<void> {
    await this.#work.database
      .updateTable('campaign_item')
      .set({ state: 'skipped', text })
      .where('run_id', '=', runId)
      .where('state', '=', 'pending')
      .execute()
  }

  async #end({ run, name, owner }: OpenRun, state: 'done' | 'stopped'): Promise<void> {
    await this.#work.events.transaction(async (transaction, record) => {
      const { numUpdatedRows } = await transaction
        .updateTable('campaign_run')
        .set({ state, ended_at: this.#work.clock(), waits_for: null })
        .where('id', '=', run.id)
        .where('state', '=', 'running')
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) return
      const { done, failed, skipped } = await countsOf(transaction, run.id)
      const text = `Run ${run.number} of the rekey campaign ${name} ${state === 'stopped' ? 'was stopped' : 'ended'}: ${done} VMs rekeyed, ${failed} failed, ${skipped} left out. «campaign report ${name}» tells of each`
      await record({ type: failed > 0 ? 'campaign.failed' : 'campaign.ended', text, user: owner })
    })
  }

  async #setItem(item: CampaignItemRow, change: Partial<CampaignItemRow>): Promise<void> {
    await this.#work.database
      .updateTable('campaign_item')
      .set(change)
      .where('run_id', '=', item.run_id)
      .where('vm_id', '=', item.vm_id)
      .where('state', '=', item.state)
      .execute()
  }

  async #run(id: string): Promise<CampaignRunRow | null> {
    const select = this.#work.database.selectFrom('campaign_run').selectAll().where('id', '=', id)
    return (await select.executeTakeFirst()) ?? null
  }
}

const troubleOf = (run: CampaignRunRow) => (run.trouble_count > 0 ? run.waits_for : null)
