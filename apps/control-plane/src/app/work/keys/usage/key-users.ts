import type { KeyUser } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely'
import { keyText } from '../../../key-reference.ts'
import type { Database } from '../../context.ts'

/** Which users of keys are asked for; without anything all of them. */
export interface KeyUserQuery {
  readonly keys?: readonly KeyReference[]
  readonly provider?: string
  readonly vmId?: string
  readonly hostId?: string
}

/** Finds the users of one kind, such as disks. What uses keys in a new way brings another one. */
export type KeyUserSource = (database: Database, query: KeyUserQuery) => Promise<readonly KeyUser[]>

/** For more keys than this every row is looked at. */
const hintedKeysMax = 20

/**
 * Narrows a query down to the rows whose column `encryption` may name one of the keys. Only a hint, which saves reading
 * everything: what a row says counts, and the caller looks at that (`keyFilter`).
 */
export function mayName<Tables, Table extends keyof Tables>(
  where: ExpressionBuilder<Tables, Table>,
  column: string,
  { keys, provider }: KeyUserQuery,
): Expression<SqlBool> {
  const texts = keys === undefined ? (provider === undefined ? [] : [provider]) : keys.map(({ keyId }) => keyId)
  if (texts.length === 0 || texts.length > hintedKeysMax) return sql<SqlBool>`1 = 1`
  return where.or(texts.map((text) => sql<SqlBool>`${sql.ref(column)} like ${containing(text)} escape '!'`))
}

/** The pattern of texts that hold `text` as a JSON string. */
function containing(text: string): string {
  return `%${JSON.stringify(text).replaceAll(/[!%_]/g, '!$&')}%`
}

/** Whether a key is one of those that are asked for. */
export function keyFilter({ keys, provider }: KeyUserQuery): (key: KeyReference) => boolean {
  if (keys !== undefined) {
    const names = new Set(keys.map(keyText))
    return (key) => names.has(keyText(key))
  }
  return provider === undefined ? () => true : (key) => key.provider === provider
}
