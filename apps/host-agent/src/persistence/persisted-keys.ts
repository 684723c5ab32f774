import { hkdf } from '@cryptvisor/crypto'
import { KeyReference, keepDaysMax, kekSizeBytes } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { SealedFileError, seal, unseal } from '@cryptvisor/sealed-file'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { type Static, Type } from 'typebox'
import { AgentError } from '../agent-error.ts'

const blobPart = Type.String({ maxLength: 2048, pattern: '^[0-9A-Za-z_-]+$' })

/**
 * The first line of the file, JSON, in clear; the line, its end included, is the associated data of the sealed file that follows, so
 * that nothing of it can be changed.
 */
const Header = Type.Object(
  {
    format: Type.Literal('cryptvisor-persisted-keys'),
    version: Type.Literal(1),
    hostId: Type.String({ maxLength: 64 }),
    keepDays: Type.Integer({ minimum: 1, maximum: keepDaysMax }),
    /** Milliseconds since 1970. */
    writtenAtMs: Type.Integer({ minimum: 0 }),
    hostKey: Type.Union([KeyReference, Type.Null()]),
    /** The TPM's sealed object: 32 bytes, half of what the rest is sealed under. */
    sealedKey: Type.Object(
      { public: blobPart, private: blobPart, pcrs: Type.Union([Type.String({ maxLength: 100 }), Type.Null()]) },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type PersistedHeader = Static<typeof Header>

const problemOf = shapeCheck(Header, 'header')

const headerSizeMax = 8192

/** One KEK with its name. */
export interface PersistedKey {
  readonly key: KeyReference
  readonly kek: Secret
}

/**
 * What the file is sealed under: HKDF-SHA-256 of the secret that the TPM sealed, salted with the one that it keeps in its own memory. When
 * that is overwritten, no older copy of the file opens any more. The caller disposes of it.
 */
export function fileKeyOf(sealed: Secret, kept: Secret): Secret {
  return kept.expose((salt) => hkdf(sealed, { salt, info: 'cryptvisor persisted keys', sizeBytes: 32 }))
}

/** The whole file: header line, and the KEKs sealed under `fileKey`. Each entry is a 16-bit size, the name as JSON, and 32 bytes. */
export function encodePersistedKeys(
  header: PersistedHeader,
  fileKey: Secret,
  keys: readonly PersistedKey[],
): Uint8Array {
  const line = Buffer.from(`${JSON.stringify(header)}\n`)
  const names = keys.map(({ key }) => Buffer.from(JSON.stringify([key.provider, key.keyId])))
  const sizeBytes = names.reduce((sum, name) => sum + 2 + name.length + kekSizeBytes, 0)
  const plain = Buffer.from(secretBytes(sizeBytes).buffer)
  try {
    let at = 0
    for (const [index, { kek }] of keys.entries()) {
      const name = names[index] ?? Buffer.alloc(0)
      at = plain.writeUInt16BE(name.length, at)
      at += name.copy(plain, at)
      kek.expose((bytes) => plain.set(bytes, at))
      at += kekSizeBytes
    }
    return Buffer.concat([line, seal({ key: fileKey, associatedData: line }, plain)])
  } finally {
    plain.fill(0)
  }
}

/** A file in its parts. */
export interface ParsedKeys {
  readonly header: PersistedHeader
  /** The header as it was read. */
  readonly line: Buffer
  readonly sealed: Buffer
}

/** Splits a file into its header and the rest. Throws AgentError `refused`. */
export function parsePersistedKeys(bytes: Buffer): ParsedKeys {
  const end = bytes.subarray(0, headerSizeMax).indexOf(0x0a)
  let value: unknown = null
  try {
    if (end >= 0) value = JSON.parse(bytes.subarray(0, end).toString('utf8'))
  } catch {
    // It is none of ours, which the check below says.
  }
  const problem = problemOf(value)
  if (problem !== null) throw new AgentError('refused', `keys.sealed: holds no persisted keys: ${problem.message}`)
  // Just checked against the schema.
  return { header: value as PersistedHeader, line: bytes.subarray(0, end + 1), sealed: bytes.subarray(end + 1) }
}

/** The KEKs of a file; the caller disposes of each. Throws AgentError `refused` when any bit of it is another. */
export function openPersistedKeys({ line, sealed }: ParsedKeys, fileKey: Secret): PersistedKey[] {
  let plain: Uint8Array
  try {
    plain = unseal({ key: fileKey, associatedData: line }, sealed)
  } catch (cause) {
    if (!(cause instanceof SealedFileError)) throw cause
    throw new AgentError('refused', `keys.sealed: was changed or cut, or is an older copy: ${cause.message}`, { cause })
  }
  const bytes = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength)
  const keys: PersistedKey[] = []
  try {
    for (let at = 0; at < bytes.length; ) {
      const nameEnd = at + 2 + bytes.readUInt16BE(at)
      // Written by us, and authentic.
      const [provider, keyId] = JSON.parse(bytes.subarray(at + 2, nameEnd).toString('utf8')) as [string, string]
      at = nameEnd + kekSizeBytes
      keys.push({ key: { provider, keyId }, kek: Secret.from(bytes.subarray(nameEnd, at)) })
    }
    return keys
  } finally {
    plain.fill(0)
  }
}
