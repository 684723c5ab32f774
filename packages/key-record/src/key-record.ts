import { Secret } from '@cryptvisor/secret'
import { flattenedDecrypt, GeneralEncrypt } from 'jose'
import { type Authority, checkAuthority } from './authority.ts'
import { KeyRecordError } from './key-record-error.ts'
import type { RecordHeader } from './record-header.ts'
import {
  checkDistinct,
  checkKid,
  type ParsedRecord,
  parseRecord,
  protectedHeaderOf,
  recipientCountMax,
  recordSizeMax,
} from './record-text.ts'

/** Bytes of a DEK and of a KEK (AES-256). */
export const recordKeySizeBytes = 32

/** A KEK and the name it goes by in key records. */
export interface NamedKek {
  /** `<provider>/<key ID>`. */
  readonly kid: string
  readonly kek: Secret
}

/** A DEK out of its record, with what it was bound to. The caller disposes of the DEK. */
export interface UnwrappedDek {
  readonly dek: Secret
  readonly header: RecordHeader
}

/**
 * Wraps a DEK under one or more KEKs, each of which opens the record alone. Every call makes a fresh content key and IV.
 * Throws a KeyRecordError: `bad-key-size`, `bad-field`, `unknown-field`, `duplicate-kid`, `too-large`, `malformed`.
 */
export async function wrapDek(options: {
  readonly dek: Secret
  readonly keks: readonly NamedKek[]
  readonly header: RecordHeader
}): Promise<string> {
  const { dek, keks, header } = options
  if (keks.length < 1 || keks.length > recipientCountMax) {
    throw new KeyRecordError('malformed', `a key record has 1 to ${recipientCountMax} recipients, got ${keks.length}`)
  }
  checkDistinct(keks.map(({ kid }) => checkKid(kid)))
  checkKeySize('a DEK', dek)
  for (const { kek } of keks) checkKeySize('a KEK', kek)
  const protectedHeader = protectedHeaderOf(header)
  const record = JSON.stringify(await dek.expose((plaintext) => encrypt(plaintext, keks, protectedHeader)))
  if (record.length > recordSizeMax) {
    throw new KeyRecordError('too-large', `the key record takes ${record.length} bytes, at most ${recordSizeMax} fit`)
  }
  return record
}

/**
 * Opens a record with one KEK and compares everything in it with what the control plane knows. Throws a KeyRecordError
 * that names the first thing amiss; `wrong-kek` means that nothing in the record could be authenticated.
 */
export async function unwrapDek(record: string, { kid, kek }: NamedKek, expected: Authority): Promise<UnwrappedDek> {
  const parsed = parseRecord(record)
  checkKeySize('a KEK', kek)
  checkAuthority(parsed, expected)
  const recipient = parsed.recipients.find((entry) => entry.kid === kid)
  if (recipient === undefined)
    throw new KeyRecordError('not-a-recipient', `the key record was not wrapped under ${kid}`)
  const dek = await kek.expose((bytes) => decrypt(parsed, recipient.encryptedKey, kid, bytes))
  if (dek.sizeBytes !== recordKeySizeBytes) {
    dek[Symbol.dispose]()
    throw new KeyRecordError(
      'bad-key-size',
      `the key record holds ${dek.sizeBytes} bytes, a DEK has ${recordKeySizeBytes}`,
    )
  }
  return { dek, header: parsed.header }
}

/** What a record says of itself, authenticated by nobody: to show, and to look for the KEK that it names. */
export function inspectRecord(record: string): { readonly header: RecordHeader; readonly kids: readonly string[] } {
  const { header, recipients } = parseRecord(record)
  return { header, kids: recipients.map(({ kid }) => kid) }
}

async function encrypt(
  plaintext: Uint8Array,
  keks: readonly NamedKek[],
  protectedHeader: Record<string, unknown> & { enc: string },
): Promise<unknown> {
  const jwe = new GeneralEncrypt(plaintext).setProtectedHeader(protectedHeader)
  // Each KEK is lent until the record is whole: an `expose` around the one before it.
  const add = (index: number): Promise<unknown> => {
    const named = keks[index]
    if (named === undefined) return jwe.encrypt()
    return named.kek.expose((bytes) => {
      jwe.addRecipient(bytes).setUnprotectedHeader({ alg: 'A256KW', kid: named.kid })
      return add(index + 1)
    })
  }
  return await add(0)
}

async function decrypt(parsed: ParsedRecord, encryptedKey: string, kid: string, kek: Uint8Array): Promise<Secret> {
  const { protected: protectedPart, iv, ciphertext, tag } = parsed
  try {
    const { plaintext } = await flattenedDecrypt(
      { protected: protectedPart, iv, ciphertext, tag, encrypted_key: encryptedKey, header: { alg: 'A256KW', kid } },
      kek,
      { keyManagementAlgorithms: ['A256KW'], contentEncryptionAlgorithms: ['A256GCM'] },
    )
    return Secret.from(plaintext)
  } catch (cause) {
    throw new KeyRecordError('wrong-kek', `the key record does not open with ${kid}: another key, or it was changed`, {
      cause,
    })
  }
}

function checkKeySize(what: string, key: Secret): void {
  if (key.sizeBytes !== recordKeySizeBytes) {
    throw new KeyRecordError('bad-key-size', `${what} has ${recordKeySizeBytes} bytes, not ${key.sizeBytes}`)
  }
}
