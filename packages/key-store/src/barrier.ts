import { Secret, secretSizeMax } from '@cryptvisor/secret'
import { type Context, encodeContext } from './context.ts'
import { KeyStoreError } from './key-store-error.ts'
import { Keyring } from './keyring.ts'
import type { Physical } from './physical.ts'
import { type RandomSource, sealingOverheadBytes, sealUnder, unsealUnder } from './sealing.ts'

const formatVersion = 1
const headerSizeBytes = 5

/** How long a sealed value is at most. */
export const sealedSizeMax = headerSizeBytes + sealingOverheadBytes + secretSizeMax

/**
 * What stands between secrets and the storage: seals under the database key in use, opens under the one that a sealed
 * value names. A sealed value is `version (1) | database key id (4) | salt (32) | AES-256-GCM ciphertext and tag`.
 */
export class Barrier implements Disposable {
  readonly #keyring: Keyring
  readonly #random: RandomSource

  private constructor(keyring: Keyring, random: RandomSource) {
    this.#keyring = keyring
    this.#random = random
  }

  /** Writes a new keyring under `rootKey` into an empty storage. Throws `keyring-exists`. */
  static async initialize(physical: Physical, rootKey: Secret, random: RandomSource = Secret.random): Promise<Barrier> {
    return new Barrier(await Keyring.create(physical, rootKey, random), random)
  }

  /** Opens the storage's keyring. Throws `keyring-missing`, `wrong-root-key` and `keyring-damaged`. */
  static async open(physical: Physical, rootKey: Secret, random: RandomSource = Secret.random): Promise<Barrier> {
    return new Barrier(await Keyring.open(physical, rootKey), random)
  }

  /** Seals a secret so that only the same context opens it again. Throws `bad-argument`. */
  seal(context: Context, secret: Secret): Uint8Array {
    const { currentId } = this.#keyring
    const header = headerOf(currentId)
    const sealed = sealUnder(this.#keyOf(currentId), secret, associate(header, context), this.#random)
    return Buffer.concat([header, sealed])
  }

  /** Opens what `seal` made; the caller disposes of it. Throws `value-damaged` and `database-key-missing`. */
  unseal(context: Context, sealed: Uint8Array): Secret {
    const header = sealed.subarray(0, headerSizeBytes)
    if (header.length < headerSizeBytes || header[0] !== formatVersion || sealed.length > sealedSizeMax) {
      throw new KeyStoreError('value-damaged', `expected a sealed value of format ${formatVersion}`)
    }
    const key = this.#keyOf(databaseKeyIdOf(header))
    const secret = unsealUnder(key, sealed.subarray(headerSizeBytes), associate(header, context))
    if (secret !== null) return secret
    throw new KeyStoreError('value-damaged', 'a sealed value does not authenticate: changed, or not of this object')
  }

  /** Whether `sealed` is under an older database key, so that sealing it again would let go of that one. */
  isOutdated(sealed: Uint8Array): boolean {
    return sealed.length < headerSizeBytes || databaseKeyIdOf(sealed) !== this.#keyring.currentId
  }

  /** Takes a new database key into use; older values stay readable. `rootKey` is the one that `physical` is under. */
  async rotate(physical: Physical, rootKey: Secret): Promise<void> {
    await this.#keyring.rotate(physical, rootKey, this.#random)
  }

  /** Wipes the database keys. */
  [Symbol.dispose](): void {
    this.#keyring[Symbol.dispose]()
  }

  #keyOf(id: number): Secret {
    const key = this.#keyring.keyOf(id)
    if (key === null) throw new KeyStoreError('database-key-missing', `the keyring has no database key ${id}`)
    return key
  }
}

function headerOf(databaseKeyId: number): Uint8Array {
  const header = new Uint8Array(headerSizeBytes)
  header[0] = formatVersion
  new DataView(header.buffer).setUint32(1, databaseKeyId)
  return header
}

function databaseKeyIdOf(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset).getUint32(1)
}

function associate(header: Uint8Array, context: Context): Uint8Array {
  return Buffer.concat([header, encodeContext(context)])
}
