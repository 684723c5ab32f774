import type { Timings, WorkContext } from '../context.ts'

/** The wait before another try doubles so often at most. */
const doublingsMax = 5

/** How long to wait before try number `count` + 2, of a VM that failed or of a key provider. */
export function againMs({ campaignRetryMs }: Timings, count: number): number {
  return campaignRetryMs * 2 ** Math.min(Math.max(count, 0), doublingsMax)
}

/** Whether a failure with this code is a key provider's, and not the VM's that met it. */
export function isProviderTrouble(code: string | null): boolean {
  return code === 'kms-unreachable' || code === 'no-key-provider'
}

/** Remembers that a run waits for its key provider, so that an outage does not count against its VMs. */
export class ProviderTrouble {
  readonly #work: WorkContext

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** The provider could not be had, once more; the first time makes an event. */
  async began(runId: string, campaign: string, text: string): Promise<void> {
    const { clock, timings, events } = this.#work
    await events.transaction(async (transaction, record) => {
      const run = await transaction
        .selectFrom('campaign_run')
        .select('trouble_count')
        .where('id', '=', runId)
        .executeTakeFirst()
      if (run === undefined) return
      await transaction
        .updateTable('campaign_run')
        .set({
          trouble_count: run.trouble_count + 1,
          trouble_until: clock() + againMs(timings, run.trouble_count),
          waits_for: `a key provider: ${text}`,
        })
        .where('id', '=', runId)
        .execute()
      if (run.trouble_count > 0) return
      await record({ type: 'campaign.waiting', text: `The rekey campaign ${campaign} waits: ${text}` })
    })
  }

  /** A VM was rekeyed: the provider is there. */
  async over(runId: string): Promise<void> {
    await this.#work.database
      .updateTable('campaign_run')
      .set({ trouble_count: 0, trouble_until: null, waits_for: null })
      .where('id', '=', runId)
      .where('trouble_count', '>', 0)
      .execute()
  }
}
