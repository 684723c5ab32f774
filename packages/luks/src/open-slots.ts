import type { Secret } from '@cryptvisor/secret'
import type { KeyDerivation } from './key-derivation.ts'
import { LuksError } from './luks-error.ts'
import type { WorkBudget } from './work-limits.ts'

/** A key slot to try. */
export interface SlotAttempt {
  readonly name: string
  /** The work that it takes, its digest's too. */
  readonly derivations: readonly KeyDerivation[]
  /** Gives the volume key, or null when the passphrase is not this slot's. */
  readonly open: () => Promise<Secret | null>
}

/**
 * Tries key slots one after the other, as far as `budget` goes. Throws a LuksError when none opens: `too-much-work` where
 * some were left alone for what they ask for, else `wrong-passphrase`.
 */
export async function firstThatOpens(attempts: readonly SlotAttempt[], budget: WorkBudget): Promise<Secret> {
  const refusals: string[] = []
  for (const { name, derivations, open } of attempts) {
    const refusal = derivations.map((derivation) => budget.refuse(derivation)).find((reason) => reason !== null)
    if (refusal !== undefined) {
      refusals.push(`${name}: ${refusal}`)
      continue
    }
    const volumeKey = await open()
    if (volumeKey !== null) return volumeKey
  }
  const triedCount = attempts.length - refusals.length
  if (refusals.length > 0) {
    throw new LuksError(
      'too-much-work',
      `this passphrase opens none of ${triedCount} key slots, and ${refusals.length} ask for more than the limits: ${refusals.join('; ')}`,
    )
  }
  throw new LuksError('wrong-passphrase', `none of the ${triedCount} active key slots opens with this passphrase`)
}
