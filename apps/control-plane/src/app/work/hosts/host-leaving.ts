import type { HeldKeys, HostAgentClient, KeyReference } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { distinctKeys, keyReference, keyText } from '../../key-reference.ts'
import type { Database, WorkContext } from '../context.ts'
import { keysOfCluster, referenceOf } from '../keys/key-rows.ts'
import { confirmNothingKept } from './kept-keys.ts'

/** A host, as far as it says what it was given. */
export type GivenHost = Pick<
  HostRow,
  'id' | 'cluster_id' | 'last_seen_at' | 'crypto_off_boot_id' | 'host_key_provider' | 'host_key_id'
>

/** What became of the KEKs that a host held when it left. */
interface Leaving {
  readonly forgotten: readonly KeyReference[]
  /** Not known to be gone. */
  readonly exposed: readonly KeyReference[]
}

/**
 * Has a connected host that leaves its cluster forget every KEK, and asks it afterwards what it holds still (DESIGN.md, section
 * 4). `null`: it could not be asked, and whoever has the machine may have what it was given.
 */
export async function forgetEverything(work: WorkContext, hostId: string): Promise<Leaving | null> {
  const connection = work.hostConnections.get(hostId)
  if (connection === null) return null
  try {
    await connection.client.disableKeyPersistence()
    await confirmNothingKept(work.database, hostId)
    return await forgetAll(work, connection.client)
  } catch (error) {
    work.stopping.throwIfAborted()
    if (!(error instanceof RestClientError)) throw error
    work.log.warn({ err: error, host: hostId }, 'a host that leaves could not be asked to forget its keys')
    return null
  }
}

async function forgetAll(work: WorkContext, client: HostAgentClient): Promise<Leaving> {
  const held = await onRecord(work, await client.keys())
  for (const key of held) {
    try {
      await client.removeKey(key)
    } catch (error) {
      // An operation uses it; what is held in the end counts.
      if (!(error instanceof RestClientError) || error.code !== 'answered') throw error
    }
  }
  const exposed = await onRecord(work, await client.keys())
  const left = new Set(exposed.map(keyText))
  return { forgotten: held.filter((key) => !left.has(keyText(key))), exposed }
}

/** Those that we gave it. What else it claims to hold says nothing, and could be endless. */
async function onRecord(work: WorkContext, { keys }: HeldKeys): Promise<KeyReference[]> {
  const rows = await work.database.selectFrom('key').select(['provider', 'key_id']).execute()
  const names = new Set(rows.map((row) => keyText(referenceOf(row))))
  return distinctKeys(keys).filter((key) => names.has(keyText(key)))
}

/**
 * What the database says that the host was given: all that its cluster needs, or needed when the host was last there, unless it
 * never had a session or was not crypto-safe. `cluster`: its name where it was another one.
 */
export async function givenTo(
  work: WorkContext,
  host: GivenHost,
  cluster: string | null,
): Promise<readonly KeyReference[]> {
  if (host.last_seen_at === null) return []
  const hostKey = keyReference(host.host_key_provider, host.host_key_id)
  if (hostKey === null && host.crypto_off_boot_id === null) return []
  const from =
    cluster === null
      ? { id: host.cluster_id }
      : await work.database.selectFrom('cluster').select('id').where('name', '=', cluster).executeTakeFirst()
  const clusterId = from?.id ?? host.cluster_id
  const keys = (await keysOfCluster(work.database, clusterId)).map(({ key }) => key)
  const before = await retiredSince(work.database, host.id, clusterId, host.last_seen_at)
  return distinctKeys([...keys, ...before, ...(hostKey === null ? [] : [hostKey])])
}

/** Keys that were in use when the host was last there, and are not any more: it was not there to be told to forget them. */
async function retiredSince(
  database: Database,
  hostId: string,
  clusterId: string,
  since: number,
): Promise<KeyReference[]> {
  const rows = await database
    .selectFrom('key')
    .select(['provider', 'key_id'])
    .where('state', '=', 'retired')
    .where('retired_at', '>=', since)
    .where(({ and, eb, or, selectFrom }) =>
      or([
        and([eb('owner_kind', '=', 'host'), eb('owner_id', '=', hostId)]),
        and([
          eb('owner_kind', '=', 'vm'),
          eb(
            'owner_id',
            'in',
            selectFrom('vm')
              .innerJoin('host', 'host.id', 'vm.host_id')
              .select('vm.id')
              .where('host.cluster_id', '=', clusterId),
          ),
        ]),
      ]),
    )
    .orderBy('key_id')
    .execute()
  return rows.map(referenceOf)
}
