import type { KeyOrder } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import { v7 } from 'uuid'
import type { KeyOrderRow } from '../../../../database/key-life-rows.ts'
import { timeText, timeTextOrNull } from '../../../clock.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import { keyText } from '../../../key-reference.ts'
import type { Database } from '../../context.ts'

/** An insertion has so many rows at most, since a query has a limited number of values. */
const rowsPerInsert = 500

export type NewKeyOrder = Pick<
  KeyOrderRow,
  'action' | 'cause' | 'due_at' | 'user_name' | 'approved_by' | 'approval_id' | 'reason' | 'impact'
>

/** Writes an order down. Throws `already-exists` when there is one for the key that is open. */
export async function insertOrder(
  transaction: Database,
  key: KeyReference,
  order: NewKeyOrder,
  now: number,
): Promise<KeyOrderRow> {
  const open = await openOrder(transaction, key)
  if (open !== null) throw orderedAlready(open)
  const row = newOrder(key, order, now)
  await transaction.insertInto('key_order').values(row).execute()
  return row
}

/** An order as it begins. */
export function newOrder(key: KeyReference, order: NewKeyOrder, now: number): KeyOrderRow {
  return {
    id: v7(),
    provider: key.provider,
    key_id: key.keyId,
    ...order,
    state: 'scheduled',
    problem: null,
    created_at: now,
    ended_at: null,
  }
}

/** Writes many orders down; the caller made sure that none is open for their keys. */
export async function insertOrders(transaction: Database, rows: readonly KeyOrderRow[]): Promise<void> {
  for (let start = 0; start < rows.length; start += rowsPerInsert) {
    await transaction
      .insertInto('key_order')
      .values(rows.slice(start, start + rowsPerInsert))
      .execute()
  }
}

/** All that is ordered and not over, by `keyText`. */
export async function openOrders(database: Database): Promise<ReadonlyMap<string, KeyOrderRow>> {
  const rows = await database.selectFrom('key_order').selectAll().where('ended_at', 'is', null).execute()
  return new Map(rows.map((row) => [keyText({ provider: row.provider, keyId: row.key_id }), row]))
}

export async function updateOrder(
  database: Database,
  id: string,
  change: Partial<Pick<KeyOrderRow, 'state' | 'problem' | 'ended_at'>>,
): Promise<void> {
  await database.updateTable('key_order').set(change).where('id', '=', id).execute()
}

/** What is ordered for a key and not over; `null`: nothing. */
export async function openOrder(database: Database, key: KeyReference): Promise<KeyOrderRow | null> {
  const row = await database
    .selectFrom('key_order')
    .selectAll()
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  return row ?? null
}

/**
 * Throws `in-use` when the key is going to be revoked or destroyed: nothing new may be wrapped with it. To be called in
 * the transaction that begins what uses it.
 */
export async function requireNoOrder(transaction: Database, key: KeyReference): Promise<void> {
  const open = await openOrder(transaction, key)
  if (open === null) return
  throw new ControlPlaneError(
    'in-use',
    `key ${key.keyId} of provider ${key.provider} is going to be ${open.action === 'revoke' ? 'revoked' : 'destroyed'} (${timeText(open.due_at)}, asked for by ${open.user_name}), so nothing new may use it: take that back with «keys restore ${key.provider} ${key.keyId}», or use another key («vm rekey»)`,
  )
}

/** The refusal of a second order for the same key. */
export function orderedAlready({ provider, key_id, action, due_at }: KeyOrderRow): ControlPlaneError {
  return new ControlPlaneError(
    'already-exists',
    `key ${key_id} of provider ${provider} is going to be ${action === 'revoke' ? 'revoked' : 'destroyed'} already, at ${timeText(due_at)}: «keys restore ${provider} ${key_id}» takes that back`,
  )
}

/** An order as users see it. */
export function orderView(row: KeyOrderRow): KeyOrder {
  return {
    id: row.id,
    provider: row.provider,
    keyId: row.key_id,
    action: row.action,
    cause: row.cause,
    state: row.state,
    dueAt: timeText(row.due_at),
    user: row.user_name,
    approvedBy: row.approved_by,
    reason: row.reason,
    problem: row.problem,
    createdAt: timeText(row.created_at),
    endedAt: timeTextOrNull(row.ended_at),
  }
}
