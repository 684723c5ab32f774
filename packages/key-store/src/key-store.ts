import { Secret } from '@cryptvisor/secret'
import type { Barrier } from './barrier.ts'
import { type Context, encodeContext } from './context.ts'
import { KeyStoreError } from './key-store-error.ts'
import type { Physical } from './physical.ts'
import { type RandomSource, sealUnder, unsealUnder } from './sealing.ts'

const wrappingKeySizeBytes = 32

/**
 * Keeps secrets by id, each under a wrapping key of its own, which lies apart, sealed by the barrier. Erasing the
 * wrapping key makes every copy of the value unreadable, also one in a backup that has only values.
 *
 * Over a storage that is not a transaction, a crash may leave a wrapping key without its value, never the reverse.
 */
export class KeyStore {
  readonly #physical: Physical
  readonly #barrier: Barrier
  readonly #random: RandomSource

  constructor(physical: Physical, barrier: Barrier, random: RandomSource = Secret.random) {
    this.#physical = physical
    this.#barrier = barrier
    this.#random = random
  }

  /** Stores a secret; only `get` with the same context gives it back. Throws `bad-argument`. */
  async put(id: string, context: Context, secret: Secret): Promise<void> {
    using wrappingKey = this.#random(wrappingKeySizeBytes)
    const sealedKey = this.#barrier.seal(wrappingContext(id, context), wrappingKey)
    const sealedValue = sealUnder(wrappingKey, secret, valueContext(id, context), this.#random)
    await this.#physical.write('wrapping-key', id, sealedKey)
    await this.#physical.write('value', id, sealedValue)
  }

  /** The secret, of which the caller disposes; `null` when there is none. Throws `value-damaged`, and what `unseal` does. */
  async get(id: string, context: Context): Promise<Secret | null> {
    const sealedValue = await this.#physical.read('value', id)
    if (sealedValue === null) return null
    const sealedKey = await this.#physical.read('wrapping-key', id)
    if (sealedKey === null) throw new KeyStoreError('value-damaged', `the wrapping key of ${id} is missing`)
    using wrappingKey = this.#barrier.unseal(wrappingContext(id, context), sealedKey)
    const secret = unsealUnder(wrappingKey, sealedValue, valueContext(id, context))
    if (secret !== null) return secret
    throw new KeyStoreError('value-damaged', `the value of ${id} does not authenticate: changed, or not of this object`)
  }

  /** Erases the wrapping key, then the value. Not an error when they are not there. */
  async erase(id: string): Promise<void> {
    await this.#physical.erase('wrapping-key', id)
    await this.#physical.erase('value', id)
  }
}

/** Tells a wrapping key from whatever else the program seals with its barrier. */
function wrappingContext(id: string, context: Context): Context {
  return { ...context, 'key-store id': id, 'key-store part': 'wrapping key' }
}

function valueContext(id: string, context: Context): Uint8Array {
  return encodeContext({ ...context, 'key-store id': id, 'key-store part': 'value' })
}
