import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { fromBER, Null, OctetString } from 'asn1js'
import {
  AlgorithmIdentifier,
  AuthenticatedSafe,
  ContentInfo,
  DigestInfo,
  EncryptedContentInfo,
  EncryptedData,
  MacData,
  PFX,
} from 'pkijs'
import { PkiError } from '../pki-error.ts'
import { bmpPassword } from './bmp-password.ts'
import { macKeyOf } from './mac-key.ts'
import { oid } from './object-identifiers.ts'
import { decryptUnder, encryptUnder } from './password-encryption.ts'
import { roundsDefault, roundsMax } from './rounds.ts'
import { decodeBags, encodeBags, type NamedSecret, secretsMax } from './secret-bags.ts'

/** The largest PKCS#12 file that is read. */
export const secretStoreSizeMax = 262_144

const macSaltSizeBytes = 16

/**
 * Writes secrets into a PKCS#12 file (RFC 7292) under a password (UTF-8): secret bags, encrypted by PBES2 with AES-256-CBC
 * and PBKDF2-HMAC-SHA-256, all under a MAC with SHA-256. `openssl pkcs12` reads it. Takes a second, on purpose.
 */
export async function writeSecretStore(
  entries: readonly NamedSecret[],
  password: Secret,
  roundCount: number = roundsDefault,
): Promise<Uint8Array> {
  if (entries.length > secretsMax) throw new RangeError(`a PKCS#12 file holds at most ${secretsMax} secrets`)
  using macPassword = bmpPassword(password)
  using bags = encodeBags(entries)
  const { algorithm, ciphertext } = await encryptUnder(password, bags, roundCount)
  const encrypted = new EncryptedData({
    encryptedContentInfo: new EncryptedContentInfo({
      contentType: oid.data,
      contentEncryptionAlgorithm: algorithm,
      encryptedContent: new OctetString({ valueHex: ciphertext }),
      disableSplit: true,
    }),
  })
  const safe = new AuthenticatedSafe({
    safeContents: [new ContentInfo({ contentType: oid.encryptedData, content: encrypted.toSchema() })],
  })
  const safeBytes = new Uint8Array(safe.toSchema().toBER())
  const macSalt = randomBytes(macSaltSizeBytes)
  using macKey = await macKeyOf(macPassword, macSalt, roundCount)
  const file = new PFX({
    authSafe: new ContentInfo({ contentType: oid.data, content: new OctetString({ valueHex: safeBytes }) }),
    macData: new MacData({
      mac: new DigestInfo({
        digestAlgorithm: new AlgorithmIdentifier({ algorithmId: oid.sha256, algorithmParams: new Null() }),
        digest: new OctetString({ valueHex: macOf(macKey, safeBytes) }),
      }),
      macSalt: new OctetString({ valueHex: macSalt }),
      iterations: roundCount,
    }),
  })
  return new Uint8Array(file.toSchema().toBER())
}

/**
 * Opens what `writeSecretStore` made; the secrets are the caller's. Throws `wrong-password` when the password does not fit
 * or the file was changed, which cannot be told apart, and `bad-pkcs12` for what is no such file.
 */
export async function readSecretStore(file: Uint8Array, password: Secret): Promise<NamedSecret[]> {
  if (file.length > secretStoreSizeMax) {
    throw new PkiError('bad-pkcs12', `the file has more than ${secretStoreSizeMax} bytes`)
  }
  const { safeBytes, mac, macSalt, roundCount } = parse(file)
  using macPassword = bmpPassword(password)
  using macKey = await macKeyOf(macPassword, macSalt, roundCount)
  const expected = macOf(macKey, safeBytes)
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) {
    throw new PkiError('wrong-password', 'the password does not open the file, or the file was changed')
  }
  using bags = await decryptUnder(password, encryptedIn(safeBytes))
  return decodeBags(bags)
}

function macOf(key: Secret, bytes: Uint8Array): Buffer {
  return key.expose((secret) => createHmac('sha256', secret).update(bytes).digest())
}

/** A PKCS#12 file's outer part. */
interface Parsed {
  readonly safeBytes: Uint8Array
  readonly mac: Uint8Array
  readonly macSalt: Uint8Array
  readonly roundCount: number
}

function parse(file: Uint8Array): Parsed {
  const { authSafe, macData } = understood('it is not in PKCS#12', () => {
    const { result, offset } = fromBER(file)
    if (offset !== file.length) throw new Error(offset === -1 ? result.error : 'something follows it')
    const parsed = new PFX({ schema: result })
    // What the MAC does not cover has one form only.
    if (parsed.version !== 3 || !Buffer.from(parsed.toSchema().toBER()).equals(file)) throw new Error('it was changed')
    return parsed
  })
  const digest = macData?.mac.digestAlgorithm
  if (macData === undefined || digest?.algorithmId !== oid.sha256 || !(digest.algorithmParams instanceof Null)) {
    throw new PkiError('bad-pkcs12', 'the file has no MAC with SHA-256')
  }
  const roundCount = macData.iterations ?? 1
  if (roundCount < 1 || roundCount > roundsMax) {
    throw new PkiError('bad-pkcs12', `the file asks for ${roundCount} rounds; at most ${roundsMax} are computed`)
  }
  const content: unknown = authSafe.content
  if (authSafe.contentType !== oid.data || !(content instanceof OctetString)) {
    throw new PkiError('bad-pkcs12', 'the file is not protected by a password')
  }
  return {
    safeBytes: new Uint8Array(content.getValue()),
    mac: new Uint8Array(macData.mac.digest.getValue()),
    macSalt: new Uint8Array(macData.macSalt.getValue()),
    roundCount,
  }
}

/** The one encrypted part that a file of ours has. */
function encryptedIn(safeBytes: Uint8Array) {
  return understood('what is in it is not what was expected', () => {
    const { safeContents } = new AuthenticatedSafe({ schema: fromBER(safeBytes).result })
    const [only, ...others] = safeContents
    if (only?.contentType !== oid.encryptedData || others.length > 0) throw new Error('not one encrypted part')
    const { encryptedContentInfo } = new EncryptedData({ schema: only.content })
    return {
      algorithm: encryptedContentInfo.contentEncryptionAlgorithm,
      ciphertext: new Uint8Array(encryptedContentInfo.getEncryptedContent()),
    }
  })
}

function understood<Result>(what: string, read: () => Result): Result {
  try {
    return read()
  } catch (cause) {
    throw new PkiError('bad-pkcs12', `the file cannot be read: ${what}`, { cause })
  }
}
