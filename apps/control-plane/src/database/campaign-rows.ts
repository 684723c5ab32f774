/** A rekey campaign. 0 and 1 for booleans. */
export interface CampaignRow {
  id: string
  name: string
  /** `CampaignPlan` as JSON. */
  plan: string
  paused: number
  created_by: string
  created_at: number
  /** When the next run begins; null: by hand alone. */
  next_run_at: number | null
}

/** One run of a campaign. */
export interface CampaignRunRow {
  id: string
  campaign_id: string
  number: number
  state: 'running' | 'done' | 'cancelled' | 'stopped'
  started_by: string
  started_at: number
  ended_at: number | null
  /** What it waits for, in words. */
  waits_for: string | null
  /** The key provider cannot be had: one VM alone is tried then, not before this time. */
  trouble_until: number | null
  /** How often in a row that happened. */
  trouble_count: number
}

/** One VM of a run. */
export interface CampaignItemRow {
  run_id: string
  vm_id: string
  vm_name: string
  state: 'pending' | 'running' | 'done' | 'failed' | 'skipped'
  text: string
  tries: number
  /** Not before this time. */
  retry_at: number
  task_id: string | null
  /** Whether its data is held while the window is closed. */
  held: number
  /** KEKs when it was chosen, as a JSON array of key references. */
  old_keys: string
  new_provider: string | null
  new_key_id: string | null
}
