import { KeyRecordError } from './key-record-error.ts'
import { checkRecordHeader, type RecordHeader, recordType, recordVersion } from './record-header.ts'

/** The most that a record may take: one of its copies inside a LUKS header. */
export const recordSizeMax = 8192

/** The most KEKs that one record names. A rekey needs two. */
export const recipientCountMax = 8

/** The longest key ID with its provider. */
const kidLengthMax = 512

/** One KEK's entry in a record. */
interface Recipient {
  readonly kid: string
  readonly encryptedKey: string
}

/** A record taken apart, before anything is authenticated. */
export interface ParsedRecord {
  readonly header: RecordHeader
  readonly recipients: readonly Recipient[]
  /** The parts of the JWE by their names in RFC 7516, 7.2.1, base64url as they came. */
  readonly protected: string
  readonly iv: string
  readonly ciphertext: string
  readonly tag: string
}

/**
 * Takes a record's text apart: JWE general serialization (RFC 7516, 7.2.1), `enc` A256GCM, each recipient `alg` A256KW
 * with a `kid`. Nothing in it is authenticated yet. Throws a KeyRecordError for anything else in it.
 */
export function parseRecord(text: string): ParsedRecord {
  if (Buffer.byteLength(text) > recordSizeMax) {
    throw new KeyRecordError(
      'too-large',
      `a key record has at most ${recordSizeMax} bytes, got ${Buffer.byteLength(text)}`,
    )
  }
  const jwe = fieldsOf(
    parseJson(text, 'the record'),
    ['protected', 'iv', 'ciphertext', 'tag', 'recipients'],
    'the record',
  )
  const protectedPart = base64url(jwe.protected, 'protected')
  return {
    header: parseProtected(protectedPart),
    recipients: parseRecipients(jwe.recipients),
    protected: protectedPart,
    iv: base64url(jwe.iv, 'iv'),
    ciphertext: base64url(jwe.ciphertext, 'ciphertext'),
    tag: base64url(jwe.tag, 'tag'),
  }
}

/** The protected header of a record: the inverse of what `parseRecord` does with it. */
export function protectedHeaderOf(header: RecordHeader): Record<string, unknown> & { enc: string } {
  return { enc: 'A256GCM', typ: recordType, version: recordVersion, ...checkRecordHeader({ ...header }) }
}

/**
 * Refuses a `kid` that is not `<provider>/<key ID>`, in printable ASCII without spaces, at most 512 characters. Throws a
 * KeyRecordError `bad-field`.
 */
export function checkKid(kid: unknown): string {
  if (typeof kid !== 'string' || kid.length > kidLengthMax || !/^[!-.0-~]+\/[!-~]+$/.test(kid)) {
    throw new KeyRecordError(
      'bad-field',
      `a kid is <provider>/<key ID> in printable ASCII, at most ${kidLengthMax} long`,
    )
  }
  return kid
}

function parseProtected(part: string): RecordHeader {
  const { enc, typ, version, ...rest } = objectOf(
    parseJson(Buffer.from(part, 'base64url').toString(), 'the protected header'),
    'the protected header',
  )
  if (typ !== recordType) throw new KeyRecordError('bad-field', `field typ of the key record must be ${recordType}`)
  if (version !== recordVersion) {
    throw new KeyRecordError('unsupported-version', `this key record is not of version ${recordVersion}`)
  }
  if (enc !== 'A256GCM') throw new KeyRecordError('unsupported-algorithm', 'enc of a key record must be A256GCM')
  return checkRecordHeader(rest)
}

function parseRecipients(value: unknown): Recipient[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > recipientCountMax) {
    throw new KeyRecordError('malformed', `a key record has 1 to ${recipientCountMax} recipients`)
  }
  const recipients = value.map((entry: unknown) => {
    const recipient = fieldsOf(entry, ['encrypted_key', 'header'], 'a recipient')
    const { alg, kid } = fieldsOf(recipient.header, ['alg', 'kid'], "a recipient's header")
    if (alg !== 'A256KW') throw new KeyRecordError('unsupported-algorithm', 'alg of a recipient must be A256KW')
    return { kid: checkKid(kid), encryptedKey: base64url(recipient.encrypted_key, 'encrypted_key') }
  })
  checkDistinct(recipients.map((recipient) => recipient.kid))
  return recipients
}

/** Refuses a kid that appears twice, with a KeyRecordError `duplicate-kid`. */
export function checkDistinct(kids: readonly string[]): void {
  const twice = kids.find((kid, index) => kids.indexOf(kid) !== index)
  if (twice !== undefined) throw new KeyRecordError('duplicate-kid', `the key record names ${twice} twice`)
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own error quotes the text, which is none of the reader's business.
    throw new KeyRecordError('malformed', `${what} is not JSON`)
  }
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KeyRecordError('malformed', `${what} is not a JSON object`)
  }
  // An object out of JSON.parse.
  return value as Record<string, unknown>
}

/** The fields of an object that has exactly these. */
function fieldsOf<Name extends string>(value: unknown, names: readonly Name[], what: string): Record<Name, unknown> {
  const object = objectOf(value, what)
  const known: readonly string[] = names
  for (const name of Object.keys(object)) {
    if (!known.includes(name)) throw new KeyRecordError('unknown-field', `${what} has no field ${JSON.stringify(name)}`)
  }
  for (const name of names) {
    if (!Object.hasOwn(object, name)) throw new KeyRecordError('malformed', `${what} lacks its field ${name}`)
  }
  // The loops above have found exactly these names.
  return object as Record<Name, unknown>
}

function base64url(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value)) {
    throw new KeyRecordError('malformed', `field ${name} of the key record is not base64url`)
  }
  return value
}
