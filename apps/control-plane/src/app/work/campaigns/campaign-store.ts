import type { Campaign, CampaignCounts, CampaignItem, CampaignPlan, CampaignRun } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { CampaignItemRow, CampaignRow, CampaignRunRow } from '../../../database/campaign-rows.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyReference } from '../../key-reference.ts'
import type { Database } from '../context.ts'

/** Reads `campaign.plan`. */
export function planOf({ plan }: Pick<CampaignRow, 'plan'>): CampaignPlan {
  // Written from a checked request, and by nobody else.
  return JSON.parse(plan) as CampaignPlan
}

/** Reads `campaign_item.old_keys`. */
export function oldKeysOf({ old_keys }: Pick<CampaignItemRow, 'old_keys'>): KeyReference[] {
  // Written by the engine, and by nobody else.
  return JSON.parse(old_keys) as KeyReference[]
}

/** By name or ID. Throws `not-found`. */
export async function findCampaign(database: Database, nameOrId: string): Promise<CampaignRow> {
  const row = await database
    .selectFrom('campaign')
    .selectAll()
    .where((where) => where.or([where('name', '=', nameOrId), where('id', '=', nameOrId)]))
    .executeTakeFirst()
  if (row === undefined) throw new ControlPlaneError('not-found', `there is no campaign ${nameOrId}`)
  return row
}

/** The newest run of a campaign, or run `number`; `null`: there is none. */
export async function findRun(database: Database, campaignId: string, number?: number): Promise<CampaignRunRow | null> {
  let select = database
    .selectFrom('campaign_run')
    .selectAll()
    .where('campaign_id', '=', campaignId)
    .orderBy('number', 'desc')
    .limit(1)
  if (number !== undefined) select = select.where('number', '=', number)
  return (await select.executeTakeFirst()) ?? null
}

/** How many VMs of a run are in which state. */
export async function countsOf(database: Database, runId: string): Promise<CampaignCounts> {
  const rows = await database
    .selectFrom('campaign_item')
    .select(['state', (select) => select.fn.countAll<number>().as('count')])
    .where('run_id', '=', runId)
    .groupBy('state')
    .execute()
  const counts = { pending: 0, running: 0, done: 0, failed: 0, skipped: 0 }
  for (const { state, count } of rows) counts[state] = Number(count)
  return counts
}

export async function runView(database: Database, row: CampaignRunRow): Promise<CampaignRun> {
  return {
    number: row.number,
    state: row.state,
    waitsFor: row.waits_for,
    startedBy: row.started_by,
    startedAt: timeText(row.started_at),
    endedAt: timeTextOrNull(row.ended_at),
    counts: await countsOf(database, row.id),
  }
}

export async function campaignView(database: Database, row: CampaignRow): Promise<Campaign> {
  const run = await findRun(database, row.id)
  return {
    id: row.id,
    name: row.name,
    plan: planOf(row),
    paused: row.paused === 1,
    createdBy: row.created_by,
    createdAt: timeText(row.created_at),
    nextRunAt: timeTextOrNull(row.next_run_at),
    lastRun: run === null ? null : await runView(database, run),
  }
}

export function itemView(row: CampaignItemRow): CampaignItem {
  return {
    vm: row.vm_name,
    vmId: row.vm_id,
    state: row.state,
    text: row.text,
    tries: row.tries,
    task: row.task_id,
    oldKeys: oldKeysOf(row),
    newKey: keyReference(row.new_provider, row.new_key_id),
  }
}
