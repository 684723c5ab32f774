import { createHash } from 'node:crypto'
import { isSignedBy, readCertificate } from '@cryptvisor/pki'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import { SetUpError } from '../set-up-error.ts'

const Content = Type.Object(
  {
    sizeBytes: Type.Integer({ minimum: 1 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
)

/** What a backup says of itself; the certificate authority signs these bytes, and they name the hash of all the rest. */
export const BackupManifest = Type.Object(
  {
    format: Type.Literal('cryptvisor-control-plane-backup'),
    version: Type.Literal(1),
    /** ISO 8601: what was committed by then is in it. */
    createdAt: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T[0-9:.]+Z$', maxLength: 30 }),
    productVersion: Type.String({ minLength: 1, maxLength: 40 }),
    /** The last step of the database's schema, and how many there are. */
    schema: Type.String({ minLength: 1, maxLength: 80 }),
    schemaSteps: Type.Integer({ minimum: 1 }),
    installationId: Type.String({ minLength: 1, maxLength: 64 }),
    epoch: Type.Integer({ minimum: 1 }),
    /** Where users reached it. */
    host: Type.String({ minLength: 1, maxLength: 255 }),
    caFingerprint256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    counts: Type.Object(
      {
        hosts: Type.Integer({ minimum: 0 }),
        vms: Type.Integer({ minimum: 0 }),
        keys: Type.Integer({ minimum: 0 }),
        openTasks: Type.Integer({ minimum: 0 }),
      },
      { additionalProperties: false },
    ),
    contents: Type.Object(
      { 'config.json': Content, 'ca.pem': Content, 'control-plane.sqlite': Content },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type BackupManifest = Static<typeof BackupManifest>

const problemOf = shapeCheck(BackupManifest, 'manifest.json')

/**
 * Reads a manifest, checked against its signature and the certificate that lies beside it. Throws `SetUpError`
 * `bad-backup`. That the certificate is the right one is for the caller to check: by its fingerprint, or since its key
 * opens under the root key.
 */
export function readManifest(bytes: Buffer, signature: Uint8Array, ca: string): BackupManifest {
  if (!isSignedBy(ca, bytes, signature)) {
    throw badBackup('manifest.json is not signed by the certificate authority in ca.pem: it was changed, or damaged')
  }
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw badBackup('manifest.json is not JSON', cause)
  }
  const problem = problemOf(value)
  if (problem !== null) throw badBackup(`manifest.json: ${problem.message}`)
  // It was just checked.
  const manifest = value as BackupManifest
  if (readCertificate(ca).fingerprint256 !== manifest.caFingerprint256) {
    throw badBackup('manifest.json names another certificate authority than ca.pem')
  }
  return manifest
}

/** What a file of a backup is, as its manifest says it. */
export function contentOf(bytes: Uint8Array): Static<typeof Content> {
  return { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** A backup that cannot be taken. */
export function badBackup(text: string, cause?: unknown): SetUpError {
  return new SetUpError('bad-backup', `the backup is not to be trusted: ${text}`, { cause })
}
