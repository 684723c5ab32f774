import type { ProviderReference } from '@cryptvisor/control-plane-api'
import type { Database } from '../context.ts'
import { keyUsers } from '../keys/usage/key-usage.ts'
import { planOf } from './campaign-store.ts'

/** All that needs a key provider: what uses its keys, and what would ask it for new ones. */
export async function providerReferences(database: Database, provider: string): Promise<ProviderReference[]> {
  const users = await keyUsers(database, { provider })
  const owners = Map.groupBy(users, ({ owner }) => `${owner.kind} ${owner.name}`)
  const found: ProviderReference[] = [...owners.values()].flatMap((parts) => {
    const [first] = parts
    if (first === undefined) return []
    const names = [...new Set(parts.map(({ name }) => name))].join(', ')
    return [{ kind: first.owner.kind, name: first.owner.name, part: names }]
  })
  const row = await database
    .selectFrom('key_provider')
    .select('is_default')
    .where('name', '=', provider)
    .executeTakeFirst()
  if (row?.is_default === 1) found.push({ kind: 'default', name: 'system', part: 'default key provider' })
  const clusters = await database
    .selectFrom('provider_default')
    .innerJoin('cluster', 'cluster.id', 'provider_default.entity_id')
    .select('cluster.name')
    .where('entity_kind', '=', 'cluster')
    .where('provider', '=', provider)
    .execute()
  const folders = await database
    .selectFrom('provider_default')
    .innerJoin('folder', 'folder.id', 'provider_default.entity_id')
    .select('folder.name')
    .where('entity_kind', '=', 'folder')
    .where('provider', '=', provider)
    .execute()
  for (const { name } of clusters)
    found.push({ kind: 'default', name: `cluster ${name}`, part: 'default key provider' })
  for (const { name } of folders) found.push({ kind: 'default', name: `folder ${name}`, part: 'default key provider' })
  const policies = await database.selectFrom('policy').select('name').where('key_provider', '=', provider).execute()
  for (const { name } of policies) found.push({ kind: 'policy', name, part: 'key provider of the policy' })
  const campaigns = await database.selectFrom('campaign').selectAll().orderBy('name').execute()
  for (const campaign of campaigns) {
    if (planOf(campaign).keyProvider !== provider) continue
    found.push({ kind: 'campaign', name: campaign.name, part: 'who makes the new keys' })
  }
  return found
}

/** References in words, a few of them by name. */
export function referencesText(references: readonly ProviderReference[]): string {
  const shown = references.slice(0, 10).map(({ kind, name, part }) => `${kind} ${name} (${part})`)
  const more = references.length > shown.length ? ` and ${references.length - shown.length} more` : ''
  return `${shown.join(', ')}${more}`
}
