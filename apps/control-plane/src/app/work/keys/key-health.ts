import type { KeyHealth, KeyHealthState } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { KeyHealthRow } from '../../../database/host-rows.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'

/** What is known of a KEK without asking anybody now. */
export async function keyHealth(database: Database, key: KeyReference): Promise<KeyHealth> {
  const row = await database
    .selectFrom('key_health')
    .selectAll()
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .executeTakeFirst()
  return row === undefined ? unchecked(key) : healthView(row)
}

/** What is known of all KEKs that were looked at, by `keyText`. */
export async function allKeyHealth(database: Database): Promise<ReadonlyMap<string, KeyHealth>> {
  const rows = await database.selectFrom('key_health').selectAll().execute()
  return new Map(rows.map((row) => [keyText({ provider: row.provider, keyId: row.key_id }), healthView(row)]))
}

/** A KEK that was not looked at yet. */
export function unchecked({ provider, keyId }: KeyReference): KeyHealth {
  return {
    provider,
    keyId,
    state: 'unchecked',
    text: 'it was not looked at yet',
    checkedAt: null,
    verifiedAt: null,
    badSince: null,
  }
}

/** What a look at a KEK found. */
export interface Finding {
  readonly state: Exclude<KeyHealthState, 'unchecked'>
  readonly text: string
  /** A key that was given up at its provider can be had still. */
  readonly givenOut?: boolean
}

/** Keeps what was found, and gives how it was before; `null`: it was not looked at. */
export async function keepFinding(
  database: Database,
  { provider, keyId }: KeyReference,
  { state, text }: Finding,
  now: number,
): Promise<KeyHealthRow | null> {
  const before = await database
    .selectFrom('key_health')
    .selectAll()
    .where('provider', '=', provider)
    .where('key_id', '=', keyId)
    .executeTakeFirst()
  if (state === 'unreachable' && before !== undefined && isKnownBad(before.state)) {
    // That its provider does not answer now says nothing new about a key that is bad.
    await database
      .updateTable('key_health')
      .set({ checked_at: now })
      .where('provider', '=', provider)
      .where('key_id', '=', keyId)
      .execute()
    return before
  }
  const good = state === 'good'
  const values = {
    state,
    text,
    checked_at: now,
    verified_at: good ? now : (before?.verified_at ?? null),
    bad_since: good ? null : (before?.bad_since ?? now),
  }
  await database
    .insertInto('key_health')
    .values({ provider, key_id: keyId, ...values })
    .onConflict((conflict) => conflict.columns(['provider', 'key_id']).doUpdateSet(values))
    .execute()
  return before ?? null
}

/** Something is wrong with the key itself; that its provider does not answer says nothing about it. */
export function isKnownBad(state: string): boolean {
  return state !== 'good' && state !== ('unreachable' satisfies KeyHealthState)
}

function healthView(row: KeyHealthRow): KeyHealth {
  return {
    provider: row.provider,
    keyId: row.key_id,
    // Written from a `Finding`.
    state: row.state as KeyHealthState,
    text: row.text,
    checkedAt: timeText(row.checked_at),
    verifiedAt: timeTextOrNull(row.verified_at),
    badSince: timeTextOrNull(row.bad_since),
  }
}
