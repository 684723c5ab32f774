import { hkdf } from '@cryptvisor/crypto'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { KeyStoreError } from './key-store-error.ts'
import type { Physical } from './physical.ts'
import { type RandomSource, sealUnder, unsealUnder } from './sealing.ts'

const formatVersion = 1
const rootKeyIdSizeBytes = 16
const headerSizeBytes = 1 + rootKeyIdSizeBytes
const keySizeBytes = 32
const entrySizeBytes = 4 + keySizeBytes

/** How many database keys a keyring holds. One per year of rotation is far below it. */
export const databaseKeysMax = 1000

const entryId = 'keyring'

/**
 * The database keys, each with an id, of which the last one is in use. They lie in the storage as one entry:
 * `version (1) | root key id (16) | sealed under the root key { id (4) | key (32) }...`, all numbers big-endian.
 */
export class Keyring implements Disposable {
  readonly #keys: Map<number, Secret>
  #currentId: number

  private constructor(keys: Map<number, Secret>, currentId: number) {
    this.#keys = keys
    this.#currentId = currentId
  }

  /** Makes the first database key and writes it. Throws `keyring-exists`. */
  static async create(physical: Physical, rootKey: Secret, random: RandomSource): Promise<Keyring> {
    if ((await physical.read('keyring', entryId)) !== null) {
      throw new KeyStoreError('keyring-exists', 'the storage has a keyring already: it is not replaced')
    }
    using undo = new DisposableStack()
    const keyring = undo.use(new Keyring(new Map([[1, random(keySizeBytes)]]), 1))
    await keyring.#write(physical, rootKey, random)
    undo.move()
    return keyring
  }

  /** Reads the keyring. Throws `keyring-missing`, `wrong-root-key` and `keyring-damaged`. */
  static async open(physical: Physical, rootKey: Secret): Promise<Keyring> {
    const stored = await physical.read('keyring', entryId)
    if (stored === null) throw new KeyStoreError('keyring-missing', 'the storage has no keyring: is it initialized?')
    const header = stored.subarray(0, headerSizeBytes)
    if (header.length < headerSizeBytes || header[0] !== formatVersion) {
      throw new KeyStoreError('keyring-damaged', `the keyring does not begin as a keyring of format ${formatVersion}`)
    }
    if (Buffer.compare(header.subarray(1), idOf(rootKey)) !== 0) {
      throw new KeyStoreError('wrong-root-key', 'the data is under another root key than the one given')
    }
    using content = unsealUnder(rootKey, stored.subarray(headerSizeBytes), header)
    if (content === null) {
      throw new KeyStoreError('keyring-damaged', 'the keyring does not authenticate: restore it from a backup')
    }
    return content.expose((bytes) => Keyring.#decode(bytes))
  }

  /** The id of the key that seals what is sealed from now on. */
  get currentId(): number {
    return this.#currentId
  }

  /** The key of that id; `null` when there is none. It belongs to the keyring. */
  keyOf(id: number): Secret | null {
    return this.#keys.get(id) ?? null
  }

  /** Adds a database key and takes it into use once it is written. The older ones stay, to open what they sealed. */
  async rotate(physical: Physical, rootKey: Secret, random: RandomSource): Promise<void> {
    if (this.#keys.size >= databaseKeysMax) {
      throw new KeyStoreError('bad-argument', `a keyring holds at most ${databaseKeysMax} keys`)
    }
    const id = this.#currentId + 1
    using undo = new DisposableStack()
    const key = undo.use(random(keySizeBytes))
    await new Keyring(new Map(this.#keys).set(id, key), id).#write(physical, rootKey, random)
    undo.move()
    this.#keys.set(id, key)
    this.#currentId = id
  }

  [Symbol.dispose](): void {
    for (const key of this.#keys.values()) key[Symbol.dispose]()
  }

  async #write(physical: Physical, rootKey: Secret, random: RandomSource): Promise<void> {
    const header = Uint8Array.of(formatVersion, ...idOf(rootKey))
    using content = this.#encode()
    await physical.write('keyring', entryId, Buffer.concat([header, sealUnder(rootKey, content, header, random)]))
  }

  #encode(): Secret {
    const bytes = secretBytes(this.#keys.size * entrySizeBytes)
    const view = new DataView(bytes.buffer)
    for (const [index, [id, key]] of [...this.#keys].entries()) {
      view.setUint32(index * entrySizeBytes, id)
      key.expose((keyBytes) => bytes.set(keyBytes, index * entrySizeBytes + 4))
    }
    return Secret.from(bytes)
  }

  static #decode(bytes: Uint8Array): Keyring {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    using undo = new DisposableStack()
    const keys = new Map<number, Secret>()
    let lastId = 0
    for (let at = 0; at + entrySizeBytes <= bytes.length; at += entrySizeBytes) {
      const id = view.getUint32(at)
      if (id <= lastId) throw new KeyStoreError('keyring-damaged', 'the keyring’s ids do not rise')
      lastId = id
      keys.set(id, undo.use(Secret.from(bytes.slice(at + 4, at + entrySizeBytes))))
    }
    if (keys.size === 0 || keys.size > databaseKeysMax || keys.size * entrySizeBytes !== bytes.length) {
      throw new KeyStoreError('keyring-damaged', `the keyring’s content has ${bytes.length} bytes, no keys’ size`)
    }
    undo.move()
    return new Keyring(keys, lastId)
  }
}

/** What tells root keys apart without telling anything of them. */
function idOf(rootKey: Secret): Uint8Array {
  using id = hkdf(rootKey, { info: 'cryptvisor root key id', sizeBytes: rootKeyIdSizeBytes })
  return id.expose((bytes) => Uint8Array.from(bytes))
}
