import type { HostRow } from '../../../database/schema.ts'
import { timeText } from '../../clock.ts'
import type { Database } from '../context.ts'

const dayMs = 86_400_000

/**
 * Until when at the latest a host opens what it has kept across restarts, should it hear nothing of the control plane from now on; `null`:
 * it has confirmed that it keeps nothing, or never did.
 */
export function keptUntil({ keys_kept_days: days }: Pick<HostRow, 'keys_kept_days'>, now: number): number | null {
  return days === null ? null : now + days * dayMs
}

/** What is said of a host that did not confirm that it forgot keys: the end of a sentence, empty where it keeps none. */
export function keptText(until: number | null | undefined): string {
  if (until == null) return ''
  return `; it keeps its keys across restarts, sealed to its TPM, until ${timeText(until)}: starting it anew does not end that, clearing its TPM does`
}

/** It is to keep nothing, until somebody switches it on again. */
export async function chooseNoPersistence(database: Database, hostId: string): Promise<void> {
  const off = { key_persistence_days: null, key_persistence_since: null }
  await database.updateTable('host').set(off).where('id', '=', hostId).execute()
}

/** The host has confirmed that it keeps nothing. */
export async function confirmNothingKept(database: Database, hostId: string): Promise<void> {
  await database.updateTable('host').set({ keys_kept_days: null }).where('id', '=', hostId).execute()
}
