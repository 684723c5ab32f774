import { createCipheriv, createDecipheriv, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { Secret } from '@cryptvisor/secret'
import { Null, OctetString } from 'asn1js'
import { AlgorithmIdentifier, PBES2Params, PBKDF2Params } from 'pkijs'
import { PkiError } from '../pki-error.ts'
import { oid } from './object-identifiers.ts'
import { roundsMax } from './rounds.ts'

const derive = promisify(pbkdf2)
const keySizeBytes = 32
const ivSizeBytes = 16
const saltSizeBytes = 16

/** What was encrypted under a password, and how: PBES2 (RFC 8018, 6.2) with PBKDF2-HMAC-SHA-256 and AES-256-CBC. */
export interface PasswordEncrypted {
  readonly algorithm: AlgorithmIdentifier
  readonly ciphertext: Uint8Array
}

/** Encrypts `plaintext` under a password (UTF-8). */
export async function encryptUnder(
  password: Secret,
  plaintext: Secret,
  roundCount: number,
): Promise<PasswordEncrypted> {
  const salt = randomBytes(saltSizeBytes)
  const iv = randomBytes(ivSizeBytes)
  using key = await keyOf(password, salt, roundCount)
  const ciphertext = key.expose((bytes) => {
    const cipher = createCipheriv('aes-256-cbc', bytes, iv)
    return plaintext.expose((plain) => Buffer.concat([cipher.update(plain), cipher.final()]))
  })
  const parameters = new PBES2Params({
    keyDerivationFunc: new AlgorithmIdentifier({
      algorithmId: oid.pbkdf2,
      algorithmParams: new PBKDF2Params({
        salt: new OctetString({ valueHex: salt }),
        iterationCount: roundCount,
        prf: new AlgorithmIdentifier({ algorithmId: oid.hmacSha256, algorithmParams: new Null() }),
      }).toSchema(),
    }),
    encryptionScheme: new AlgorithmIdentifier({
      algorithmId: oid.aes256Cbc,
      algorithmParams: new OctetString({ valueHex: iv }),
    }),
  })
  return {
    algorithm: new AlgorithmIdentifier({ algorithmId: oid.pbes2, algorithmParams: parameters.toSchema() }),
    ciphertext,
  }
}

/** Opens what `encryptUnder` made. Throws `bad-pkcs12` for any other way, `wrong-password` when it does not open. */
export async function decryptUnder(password: Secret, encrypted: PasswordEncrypted): Promise<Secret> {
  const { salt, roundCount, iv } = parametersOf(encrypted.algorithm)
  using key = await keyOf(password, salt, roundCount)
  return key.expose((bytes) => {
    const decipher = createDecipheriv('aes-256-cbc', bytes, iv)
    try {
      return Secret.from(Buffer.concat([decipher.update(encrypted.ciphertext), decipher.final()]))
    } catch (cause) {
      throw new PkiError('wrong-password', 'the password does not open the file', { cause })
    }
  })
}

async function keyOf(password: Secret, salt: Uint8Array, roundCount: number): Promise<Secret> {
  return password.expose(async (bytes) => Secret.from(await derive(bytes, salt, roundCount, keySizeBytes, 'sha256')))
}

function parametersOf(algorithm: AlgorithmIdentifier): { salt: Uint8Array; roundCount: number; iv: Uint8Array } {
  if (algorithm.algorithmId !== oid.pbes2) throw otherWay()
  const { keyDerivationFunc, encryptionScheme } = new PBES2Params({ schema: algorithm.algorithmParams })
  if (keyDerivationFunc.algorithmId !== oid.pbkdf2 || encryptionScheme.algorithmId !== oid.aes256Cbc) throw otherWay()
  const { salt, iterationCount, prf } = new PBKDF2Params({ schema: keyDerivationFunc.algorithmParams })
  const iv: unknown = encryptionScheme.algorithmParams
  if (prf?.algorithmId !== oid.hmacSha256 || !(salt instanceof OctetString) || !(iv instanceof OctetString)) {
    throw otherWay()
  }
  if (iterationCount < 1 || iterationCount > roundsMax || iv.getValue().byteLength !== ivSizeBytes) throw otherWay()
  return { salt: new Uint8Array(salt.getValue()), roundCount: iterationCount, iv: new Uint8Array(iv.getValue()) }
}

function otherWay(): PkiError {
  return new PkiError('bad-pkcs12', 'expected PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC')
}
