import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { HostKeyGapRow } from '../../../database/host-rows.ts'
import type { HostRow } from '../../../database/schema.ts'
import type { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { WorkContext } from '../context.ts'

/** Keys that a host needs and does not hold. */
export interface KeyGap {
  readonly neededCount: number
  readonly missingCount: number
  readonly lacksHostKey: boolean
  readonly text: string
}

/** Whether an event tells of what is found now: not of a host that is just being given its keys. */
export type GapTelling = 'told' | 'quiet'

/** Keeps which hosts lack keys that they need, and tells of it once. */
export class KeyGaps {
  readonly #work: WorkContext

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** What was found just now; `null`: the host holds all that it needs. */
  async keep(host: Pick<HostRow, 'id' | 'name'>, gap: KeyGap | null, telling: GapTelling = 'told'): Promise<void> {
    await this.#work.events.transaction(async (transaction, record) => {
      const before = await transaction
        .selectFrom('host_key_gap')
        .selectAll()
        .where('host_id', '=', host.id)
        .executeTakeFirst()
      const wasTold = before?.is_told === 1
      if (gap === null) {
        if (before === undefined) return
        await transaction.deleteFrom('host_key_gap').where('host_id', '=', host.id).execute()
        if (!wasTold) return
        const text = `Host ${host.name} holds all keys that it needs again`
        await record({ type: 'host.crypto.keys-complete', host: host.name, text })
        return
      }
      const isTold = wasTold || telling === 'told'
      const values = { ...valuesOf(gap), is_told: isTold ? 1 : 0, is_known: 1 }
      await transaction
        .insertInto('host_key_gap')
        .values({ host_id: host.id, ...values, since: this.#work.clock() })
        .onConflict((conflict) => conflict.column('host_id').doUpdateSet(values))
        .execute()
      if (!isTold || wasTold) return
      await record({
        type: gap.lacksHostKey ? 'host.crypto.host-key-missing' : 'host.crypto.keys-missing',
        host: host.name,
        text: `Host ${host.name}: ${gap.text}`,
      })
    })
  }

  /** Nothing is known of a host that is not connected, or, without one, of any. */
  async forget(host: Pick<HostRow, 'id'> | null): Promise<void> {
    let update = this.#work.database.updateTable('host_key_gap').set({ is_known: 0 })
    if (host !== null) update = update.where('host_id', '=', host.id)
    await update.execute()
  }
}

/** What the host lacks for as long as it has not been asked to take it. */
export function gapBeforeHandOver(
  neededCount: number,
  missing: readonly KeyReference[],
  hostKey: KeyReference | null,
): KeyGap | null {
  return gapOf(neededCount, missing, hostKey, 'its agent started without keys, and is being given them')
}

/** What the host lacks after all that could be had was given to it. */
export function gapAfterHandOver(
  neededCount: number,
  failures: ReadonlyMap<string, ControlPlaneError>,
  missing: readonly KeyReference[],
  hostKey: KeyReference | null,
): KeyGap | null {
  const lacking = missing.filter((key) => failures.has(keyText(key)))
  const [first] = lacking
  const why = first === undefined ? '' : (failures.get(keyText(first))?.message ?? '')
  return gapOf(neededCount, lacking, hostKey, `${why}. It is tried again by itself until it works`)
}

/** It is to be made crypto-safe, and that did not work. */
export function gapOfUnsafe(neededCount: number, failure: ControlPlaneError): KeyGap {
  return {
    neededCount: neededCount + 1,
    missingCount: neededCount + 1,
    lacksHostKey: true,
    text: `it is to be made crypto-safe, and has no host key: ${failure.message}. It is tried again by itself until it works`,
  }
}

function gapOf(
  neededCount: number,
  missing: readonly KeyReference[],
  hostKey: KeyReference | null,
  why: string,
): KeyGap | null {
  if (missing.length === 0) return null
  const lacksHostKey = hostKey !== null && missing.some((key) => keyText(key) === keyText(hostKey))
  const which = lacksHostKey ? ', its host key among them' : ''
  return {
    neededCount,
    missingCount: missing.length,
    lacksHostKey,
    text: `it lacks ${missing.length} of the ${neededCount} keys that it needs${which}: ${why}`,
  }
}

function valuesOf(gap: KeyGap): Omit<HostKeyGapRow, 'host_id' | 'since' | 'is_told' | 'is_known'> {
  return {
    needed_count: gap.neededCount,
    missing_count: gap.missingCount,
    lacks_host_key: gap.lacksHostKey ? 1 : 0,
    text: gap.text,
  }
}
