import { timingSafeEqual } from 'node:crypto'
import { hkdf } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'

/** What the check digits and keys of native providers are derived for; a change of either is another version. */
const idLabel = 'cryptvisor-native-key-id/1'

const randomSizeBytes = 16
const checkSizeBytes = 8
const form = /^([1-9][0-9]{0,5})-([0-9a-f]{32})-([0-9a-f]{16})$/

/**
 * Makes the ID of a new key: `<generation>-<32 random digits>-<16 check digits>`, hexadecimal. The check digits follow
 * from the derivation key, so that a provider knows its keys again when nothing but its backup is left.
 */
export function newNativeKeyId(derivationKey: Secret, providerId: string, generation: number): string {
  using random = Secret.random(randomSizeBytes)
  const unique = `${generation}-${random.expose(hexOf)}`
  using check = checkOf(derivationKey, providerId, unique)
  return `${unique}-${check.expose(hexOf)}`
}

/** Which generation a key ID says that it is of; `null`: it is no native key's ID. */
export function generationOf(keyId: string): number | null {
  const generation = form.exec(keyId)?.[1]
  return generation === undefined ? null : Number(generation)
}

/** Whether the derivation key of its generation made this ID for this provider. */
export function isOwnKeyId(derivationKey: Secret, providerId: string, keyId: string): boolean {
  const [, generation, random, digits] = form.exec(keyId) ?? []
  if (digits === undefined) return false
  using check = checkOf(derivationKey, providerId, `${generation}-${random}`)
  return check.expose((bytes) => timingSafeEqual(bytes, Buffer.from(digits, 'hex')))
}

function checkOf(derivationKey: Secret, providerId: string, unique: string): Secret {
  return hkdf(derivationKey, { info: `${idLabel}/${providerId}/${unique}`, sizeBytes: checkSizeBytes })
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
