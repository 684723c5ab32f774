import type { KeyDescription } from '@cryptvisor/key-provider'
import type { Database } from '../../context.ts'

/** The `x-` attributes of a key that are text, by name; of several values of one, the first. */
export function labelsOf({ attributes }: Pick<KeyDescription, 'attributes'>): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {}
  for (const { name, value } of attributes) {
    if (name.startsWith('x-') && typeof value === 'string') labels[name] ??= value
  }
  return labels
}

/** Whether `x-Identifier` of a key names a VM or a host that is here. */
export async function namesKnownOwner(database: Database, identifier: string): Promise<boolean> {
  const vm = await database.selectFrom('vm').select('id').where('id', '=', identifier).executeTakeFirst()
  if (vm !== undefined) return true
  const host = await database.selectFrom('host').select('id').where('hardware_uuid', '=', identifier).executeTakeFirst()
  return host !== undefined
}

/** When the provider says that it made the key (KMIP 1.4, 3.23); `null` when it does not say. */
export function initialDateOf({ attributes }: KeyDescription): number | null {
  const value = attributes.find(({ name }) => name === 'Initial Date')?.value
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? null : time
}
