import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'

/*
 * Hybrid Public Key Encryption (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
 * Whoever seals needs the public key alone.
 */

const kemId = 0x0020
const kdfId = 0x0001
const aeadId = 0x0002

/** RFC 9180, 7.1: the bytes of a public key, of a private key and of what is encapsulated. */
export const hpkeKeySizeBytes = 32

const aeadKeySizeBytes = 32
const nonceSizeBytes = 12
const tagSizeBytes = 16

/** The prefixes that make 32 bytes a key in DER (RFC 8410). */
const publicKeyPrefix = Buffer.from('302a300506032b656e032100', 'hex')
const privateKeyPrefix = Buffer.from('302e020100300506032b656e04220420', 'hex')

const number16 = (value: number) => Buffer.from([value >> 8, value & 0xff])
const kemSuite = Buffer.concat([Buffer.from('KEM'), number16(kemId)])
const suite = Buffer.concat([Buffer.from('HPKE'), number16(kemId), number16(kdfId), number16(aeadId)])

/** A key pair of DHKEM(X25519, HKDF-SHA256). */
export interface HpkeKeyPair {
  readonly publicKey: Uint8Array
  readonly privateKey: KeyObject
}

/** What one message is sealed to, and what it is bound to without being in it. */
export interface HpkeBinding {
  readonly info: Uint8Array
  readonly associatedData: Uint8Array
}

export interface HpkeMessage {
  readonly encapsulated: Uint8Array
  /** Ciphertext and tag. */
  readonly ciphertext: Uint8Array
}

/** DeriveKeyPair (RFC 9180, 7.1.3): the same key material gives the same pair. */
export function deriveHpkeKeyPair(keyMaterial: Secret): HpkeKeyPair {
  return keyMaterial.expose((bytes) => {
    const extracted = labeledExtract(kemSuite, Buffer.alloc(0), 'dkp_prk', bytes)
    const scalar = labeledExpand(kemSuite, extracted, 'sk', Buffer.alloc(0), hpkeKeySizeBytes)
    const der = Buffer.concat([privateKeyPrefix, scalar])
    try {
      const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
      return { privateKey, publicKey: publicBytesOf(createPublicKey(privateKey)) }
    } finally {
      for (const buffer of [extracted, scalar, der]) buffer.fill(0)
    }
  })
}

/** Seals `plaintext` to a public key (SealBase, RFC 9180, 6.1). Throws a CryptoError `data-size` for what is no public key. */
export function hpkeSeal(publicKey: Uint8Array, binding: HpkeBinding, plaintext: Secret): HpkeMessage {
  const ephemeral = generateKeyPairSync('x25519')
  const encapsulated = publicBytesOf(ephemeral.publicKey)
  const shared = sharedSecret(ephemeral.privateKey, publicKeyOf(publicKey), encapsulated, publicKey)
  return withContext(shared, binding.info, (key, nonce) => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.setAAD(binding.associatedData)
    const ciphertext = plaintext.expose((bytes) =>
      Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]),
    )
    return { encapsulated, ciphertext }
  })
}

/** Opens a message (OpenBase, RFC 9180, 6.1). Throws a CryptoError `not-authentic` when any of it, or the key, is another. */
export function hpkeOpen({ privateKey, publicKey }: HpkeKeyPair, binding: HpkeBinding, message: HpkeMessage): Secret {
  const { encapsulated, ciphertext } = message
  const shared = sharedSecret(privateKey, publicKeyOf(encapsulated), encapsulated, publicKey)
  return withContext(shared, binding.info, (key, nonce) => {
    const end = ciphertext.length - tagSizeBytes
    if (end < 1) throw new CryptoError('data-size', 'a sealed message is longer than its tag')
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagSizeBytes })
    decipher.setAAD(binding.associatedData)
    decipher.setAuthTag(ciphertext.subarray(end))
    const plaintext = decipher.update(ciphertext.subarray(0, end))
    try {
      decipher.final()
    } catch (cause) {
      plaintext.fill(0)
      throw new CryptoError('not-authentic', 'the message does not open: another key, or it was changed', { cause })
    }
    return Secret.from(plaintext)
  })
}

/** ExtractAndExpand over the Diffie-Hellman value (RFC 9180, 4.1). */
export function sharedSecret(own: KeyObject, peer: KeyObject, encapsulated: Uint8Array, recipient: Uint8Array): Secret {
  let value: Buffer
  try {
    value = diffieHellman({ privateKey: own, publicKey: peer })
  } catch (cause) {
    throw new CryptoError('data-size', 'a public key of X25519 must not be of small order', { cause })
  }
  const extracted = labeledExtract(kemSuite, Buffer.alloc(0), 'eae_prk', value)
  const context = Buffer.concat([encapsulated, recipient])
  const shared = Secret.from(labeledExpand(kemSuite, extracted, 'shared_secret', context, hpkeKeySizeBytes))
  for (const buffer of [value, extracted]) buffer.fill(0)
  return shared
}

/** KeySchedule in base mode (RFC 9180, 5.1); the nonce is that of message 0. */
function withContext<Result>(
  shared: Secret,
  info: Uint8Array,
  use: (key: Uint8Array, nonce: Uint8Array) => Result,
): Result {
  using held = shared
  const none = Buffer.alloc(0)
  const context = Buffer.concat([
    Buffer.from([0]),
    labeledExtract(suite, none, 'psk_id_hash', none),
    labeledExtract(suite, none, 'info_hash', info),
  ])
  const secret = held.expose((bytes) => labeledExtract(suite, bytes, 'secret', none))
  const key = labeledExpand(suite, secret, 'key', context, aeadKeySizeBytes)
  try {
    return use(key, labeledExpand(suite, secret, 'base_nonce', context, nonceSizeBytes))
  } finally {
    for (const buffer of [secret, key]) buffer.fill(0)
  }
}

/** The key that 32 bytes are. */
export function publicKeyOf(bytes: Uint8Array): KeyObject {
  if (bytes.length !== hpkeKeySizeBytes) {
    throw new CryptoError('data-size', `a public key of X25519 has ${hpkeKeySizeBytes} bytes, not ${bytes.length}`)
  }
  return createPublicKey({ key: Buffer.concat([publicKeyPrefix, bytes]), format: 'der', type: 'spki' })
}

function publicBytesOf(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ format: 'der', type: 'spki' }).subarray(publicKeyPrefix.length))
}

/** RFC 9180, 4: HKDF-Extract with what it is for. */
function labeledExtract(suiteId: Uint8Array, salt: Uint8Array, label: string, keyMaterial: Uint8Array): Buffer {
  return createHmac('sha256', salt).update('HPKE-v1').update(suiteId).update(label).update(keyMaterial).digest()
}

/** RFC 9180, 4: HKDF-Expand with what it is for; at most 32 bytes, which is one round. */
function labeledExpand(
  suiteId: Uint8Array,
  secret: Uint8Array,
  label: string,
  info: Uint8Array,
  sizeBytes: number,
): Buffer {
  const mac = createHmac('sha256', secret).update(number16(sizeBytes)).update('HPKE-v1').update(suiteId)
  return mac.update(label).update(info).update(Uint8Array.of(1)).digest().subarray(0, sizeBytes)
}
