import { createCipheriv, randomBytes } from 'node:crypto'
import { Secret } from '@cryptvisor/secret'

const keySizeBytes = 32
const ivSizeBytes = 16

/** A secret under a master secret. Both are of no use to who has not the master. */
export interface WrappedSecret {
  readonly iv: Uint8Array
  readonly data: Uint8Array
}

/**
 * What secrets are wrapped under on their way into a QEMU, so that its monitor never carries one in clear (AES-256-CBC, the one way that
 * QEMU's secret objects know). QEMU gets it by another way, as a file of its raw bytes.
 */
export class MasterSecret implements Disposable {
  readonly key: Secret

  private constructor(key: Secret) {
    this.key = key
  }

  /** A new one, from the system's random source. */
  static create(): MasterSecret {
    return new MasterSecret(Secret.random(keySizeBytes))
  }

  /** One whose 32 bytes a QEMU has already; takes `key` over. Throws a RangeError for another size. */
  static of(key: Secret): MasterSecret {
    if (key.sizeBytes !== keySizeBytes)
      throw new RangeError(`a master secret has ${keySizeBytes} bytes, not ${key.sizeBytes}`)
    return new MasterSecret(key)
  }

  /** Wraps `secret` with an IV of its own. */
  wrap(secret: Secret): WrappedSecret {
    const iv = randomBytes(ivSizeBytes)
    return this.key.expose((key) => {
      const cipher = createCipheriv('aes-256-cbc', key, iv)
      const data = secret.expose((bytes) => Buffer.concat([cipher.update(bytes), cipher.final()]))
      return { iv, data }
    })
  }

  [Symbol.dispose](): void {
    this.key[Symbol.dispose]()
  }
}
