import { randomFillSync, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

/** The largest secret that we hold: a KMIP secret data object, with room to spare. */
export const secretSizeMax = 1_048_576

/**
 * Key material, from its first byte to its last. It prints `[secret]` in a template, in JSON and in a log, and is
 * overwritten when it is disposed of.
 */
export class Secret implements Disposable {
  readonly #bytes: Uint8Array
  #lendCount = 0
  #wiped = false

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Takes over the bytes of `source` and wipes it. Throws a RangeError above `secretSizeMax`. */
  static from(source: Uint8Array): Secret {
    if (source.length > secretSizeMax) throw new RangeError(`a secret has at most ${secretSizeMax} bytes`)
    const secret = new Secret(secretBytes(source.length))
    secret.#bytes.set(source)
    source.fill(0)
    return secret
  }

  /** Makes a secret of `sizeBytes` bytes from the system's random source. */
  static random(sizeBytes: number): Secret {
    if (!Number.isInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > secretSizeMax) {
      throw new RangeError(`a secret has 1 to ${secretSizeMax} bytes`)
    }
    return new Secret(randomFillSync(secretBytes(sizeBytes)))
  }

  /** How many bytes there are; known even after they were wiped. */
  get sizeBytes(): number {
    return this.#bytes.length
  }

  /** Whether the bytes are gone. */
  get wiped(): boolean {
    return this.#wiped
  }

  /**
   * Lends the bytes to `use`, and to nobody else: `use` must not keep them. Where `use` returns a promise they are lent
   * until it settles, and a wipe that comes meanwhile waits for that. Throws when the secret was wiped.
   */
  expose<Result>(use: (bytes: Uint8Array) => Result): Result {
    if (this.#wiped) throw new Error('secret was wiped')
    this.#lendCount++
    let pending = false
    try {
      const result = use(this.#bytes)
      if (result instanceof Promise) {
        pending = true
        // The promise that `finally` makes has the type of the one it was made from.
        return result.finally(() => this.#giveBack()) as Result
      }
      return result
    } finally {
      if (!pending) this.#giveBack()
    }
  }

  /** A second secret with the same bytes and a life of its own. */
  clone(): Secret {
    return this.expose((bytes) => {
      const secret = new Secret(secretBytes(bytes.length))
      secret.#bytes.set(bytes)
      return secret
    })
  }

  /** Whether both hold the same bytes, in constant time for equal lengths. Throws when either was wiped. */
  equal(other: Secret): boolean {
    return this.expose((own) => other.expose((others) => own.length === others.length && timingSafeEqual(own, others)))
  }

  [Symbol.dispose](): void {
    this.#wiped = true
    if (this.#lendCount === 0) this.#bytes.fill(0)
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }

  #giveBack(): void {
    this.#lendCount--
    if (this.#wiped && this.#lendCount === 0) this.#bytes.fill(0)
  }
}

/**
 * Zeros, to be filled with what is to become a secret, that stay where they are. A small `new Uint8Array` lies within V8's heap: the collector moves it and leaves what it was behind, and
 * native code gets a copy, so that wiping it does not reach every place where it has been.
 */
export function secretBytes(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(sizeBytes))
}
