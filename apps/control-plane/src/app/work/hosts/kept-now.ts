import { RestClientError } from '@cryptvisor/rest'
import { keyText } from '../../key-reference.ts'
import type { WorkContext } from '../context.ts'

/** What a host opens by itself after a restart. */
export interface KeptNow {
  /** The keys' names (`keyText`). */
  readonly keys: ReadonlySet<string>
  /** A restart after this finds them expired. */
  readonly untilMs: number
}

/** What a connected host keeps across restarts; `null`: nothing, or it does not say. */
export async function keptNow(work: WorkContext, hostId: string): Promise<KeptNow | null> {
  const connection = work.hostConnections.get(hostId)
  if (connection === null) return null
  try {
    const { keyPersistence, keysHeldCount } = await connection.client.host()
    const { keyCount, keptUntilMs, problem, tpmProblem } = keyPersistence
    // What it keeps is what it holds, unless it says that something went wrong or has yet to be written.
    if (keptUntilMs === null || keyCount !== keysHeldCount || problem !== null || tpmProblem !== null) return null
    const { keys } = await connection.client.keys()
    return { keys: new Set(keys.map(keyText)), untilMs: keptUntilMs }
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    return null
  }
}
