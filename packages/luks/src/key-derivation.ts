import { argon2, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { Secret } from '@cryptvisor/secret'
import { LuksError } from './luks-error.ts'
import { type LuksHash, opensslNameOf } from './luks-hash.ts'

const pbkdf2Async = promisify(pbkdf2)
const argon2Async = promisify(argon2)

/** How a key comes out of a passphrase: PBKDF2 (RFC 8018, 5.2) or Argon2 (RFC 9106). */
export type KeyDerivation =
  | { readonly type: 'pbkdf2'; readonly hash: LuksHash; readonly iterations: number; readonly salt: Uint8Array }
  | {
      readonly type: 'argon2i' | 'argon2id'
      readonly passes: number
      readonly memoryKib: number
      readonly parallelism: number
      readonly salt: Uint8Array
    }

/**
 * Derives a key of `sizeBytes` bytes, on a thread of its own. The caller disposes of it. Throws a LuksError
 * `key-derivation-failed` where OpenSSL cannot: it lacks the hash, or the memory is not to be had.
 */
export async function deriveKey(passphrase: Secret, derivation: KeyDerivation, sizeBytes: number): Promise<Secret> {
  return await passphrase.expose(async (bytes) => {
    try {
      return Secret.from(await derive(bytes, derivation, sizeBytes))
    } catch (cause) {
      throw new LuksError('key-derivation-failed', `${nameOf(derivation)} failed on this host`, { cause })
    }
  })
}

async function derive(passphrase: Uint8Array, derivation: KeyDerivation, sizeBytes: number): Promise<Buffer> {
  if (derivation.type === 'pbkdf2') {
    const { salt, iterations, hash } = derivation
    return await pbkdf2Async(passphrase, salt, iterations, sizeBytes, opensslNameOf(hash))
  }
  const { type, salt, parallelism, passes, memoryKib } = derivation
  const parameters = { message: passphrase, nonce: salt, parallelism, passes, memory: memoryKib, tagLength: sizeBytes }
  return await argon2Async(type, parameters)
}

function nameOf(derivation: KeyDerivation): string {
  return derivation.type === 'pbkdf2'
    ? `PBKDF2 with ${derivation.hash}`
    : `${derivation.type} with ${derivation.memoryKib} KiB of memory`
}
