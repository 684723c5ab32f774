import { hpkeOpen, hpkeSeal } from '@cryptvisor/crypto'
import { sealStream } from '@cryptvisor/sealed-file'
import { Secret } from '@cryptvisor/secret'
import { type Static, Type } from 'typebox'
import { Check } from 'typebox/value'
import { hostKeyPairOf } from './host-key-pair.ts'
import { SupportBundleError } from './support-bundle-error.ts'

const strict = { additionalProperties: false } as const
const base64url = (size: number) => Type.String({ pattern: `^[0-9A-Za-z_-]{${size}}$` })

/**
 * The first line of a bundle that is sealed to a host key, JSON, in clear and authenticated: which host key opens it. The line,
 * its end included, is the associated data of the sealed file that follows.
 */
export const SealedBundleHeader = Type.Object(
  {
    format: Type.Literal('cryptvisor-sealed-support-bundle'),
    version: Type.Literal(1),
    host: Type.String({ minLength: 1, maxLength: 80 }),
    /** The host key. */
    key: Type.Object(
      { provider: Type.String({ minLength: 1, maxLength: 80 }), keyId: Type.String({ minLength: 1, maxLength: 256 }) },
      strict,
    ),
    createdAt: Type.String({ maxLength: 40 }),
    /** HPKE (RFC 9180): the encapsulated key, and the sealed 32 bytes that the rest is sealed under. */
    encapsulated: base64url(43),
    sealedKey: base64url(64),
  },
  strict,
)
export type SealedBundleHeader = Static<typeof SealedBundleHeader>

type BundleIdentity = Pick<SealedBundleHeader, 'host' | 'key' | 'createdAt'>

/** The longest first line. */
export const sealedHeaderSizeMax = 4096

/** Of the key that a bundle's content is sealed under. */
export const bundleKeySizeBytes = 32

/** What the message is bound to: the host key by name, so that a bundle cannot be passed off as another's. */
function bindingOf({ host, key, createdAt }: BundleIdentity) {
  const info = Buffer.from(JSON.stringify(['cryptvisor support bundle 1', key.provider, key.keyId]))
  return { info, associatedData: Buffer.from(JSON.stringify({ host, createdAt })) }
}

/** Seals a bundle to a host key as it is written: its first line, then the sealed content. The key stays the caller's. */
export async function* sealBundle(
  identity: BundleIdentity,
  publicKey: Uint8Array,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  using bundleKey = Secret.random(bundleKeySizeBytes)
  const { host, key, createdAt } = identity
  const sealed = hpkeSeal(publicKey, bindingOf(identity), bundleKey)
  const header: SealedBundleHeader = {
    format: 'cryptvisor-sealed-support-bundle',
    version: 1,
    host,
    key: { provider: key.provider, keyId: key.keyId },
    createdAt,
    encapsulated: Buffer.from(sealed.encapsulated).toString('base64url'),
    sealedKey: Buffer.from(sealed.ciphertext).toString('base64url'),
  }
  const line = Buffer.from(`${JSON.stringify(header)}\n`)
  yield line
  yield* sealStream({ key: bundleKey, associatedData: line }, content)
}

/** Reads the first line out of the beginning of a sealed bundle. Throws SupportBundleError `not-a-bundle`. */
export function parseSealedHeader(beginning: Uint8Array): { line: Buffer; header: SealedBundleHeader } {
  const bytes = Buffer.from(beginning)
  const end = bytes.indexOf(0x0a)
  let value: unknown = null
  try {
    if (end >= 0 && end < sealedHeaderSizeMax) value = JSON.parse(bytes.subarray(0, end).toString('utf8'))
  } catch {
    // It is none of ours, which the check below says.
  }
  if (!Check(SealedBundleHeader, value)) {
    throw new SupportBundleError('not-a-bundle', 'it is no support bundle that was sealed to a host key')
  }
  return { line: bytes.subarray(0, end + 1), header: value }
}

/** The key that the content is sealed under, which the caller disposes of. Throws SupportBundleError `wrong-key`. */
export function openBundleKey(header: SealedBundleHeader, hostKey: Secret): Secret {
  const message = {
    encapsulated: Buffer.from(header.encapsulated, 'base64url'),
    ciphertext: Buffer.from(header.sealedKey, 'base64url'),
  }
  try {
    return hpkeOpen(hostKeyPairOf(hostKey), bindingOf(header), message)
  } catch (cause) {
    throw new SupportBundleError(
      'wrong-key',
      `it does not open with key ${header.key.keyId} of provider ${header.key.provider}: that is another key, or the file was changed`,
      { cause },
    )
  }
}
