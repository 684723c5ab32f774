import type { Rehearsal } from '@cryptvisor/control-plane-api'
import { currentRehearsal, type Rehearsal as Running, rehearse } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { ControlPlaneError } from './control-plane-error.ts'

/** Something that would have happened. */
export type Effect = Rehearsal['effects'][number]

/** Nobody else gets at the database meanwhile. */
const rehearsalMsMax = 10_000

const effectsOf = new WeakMap<Running, Effect[]>()

/**
 * Whether the caller runs within a dry run: what it writes into the database is taken back, so it does nothing outside
 * of the database either: no task is carried out, no host and no key server is asked for a change.
 */
export function isRehearsed(): boolean {
  return currentRehearsal() !== undefined
}

/** Tells whoever asked for the dry run of something that would have happened; outside of one it does nothing. */
export function noteEffect(effect: Effect): void {
  const rehearsal = currentRehearsal()
  if (rehearsal !== undefined) effectsOf.get(rehearsal)?.push(effect)
}

/** Does `work` as a dry run; what would have happened comes into `effects`. Throws what `work` throws, and `too-busy`. */
export async function rehearseRequest<Result>(
  database: Kysely<Schema>,
  effects: Effect[],
  work: () => Promise<Result>,
): Promise<Result> {
  const noted = async () => {
    const rehearsal = currentRehearsal()
    if (rehearsal === undefined) throw new Error('the dry run did not begin')
    effectsOf.set(rehearsal, effects)
    return work()
  }
  const tooLong = () =>
    new ControlPlaneError('too-busy', 'the dry run took too long and was given up; nothing was changed: try again')
  return rehearse(database, noted, rehearsalMsMax, tooLong)
}
