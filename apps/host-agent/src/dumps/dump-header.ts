import { hpkeOpen, hpkeSeal } from '@cryptvisor/crypto'
import { KeyReference } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { hostKeyPairOf } from '@cryptvisor/support-bundle'
import { type Static, Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import type { DumpKey } from './dump-key.ts'

const base64url = (pattern: string) => Type.String({ pattern: `^[0-9A-Za-z_-]${pattern}$` })

/**
 * The first line of a sealed core dump, JSON, in clear and authenticated: which host key opens it, and of what it is. The
 * line, its end included, is the associated data of the sealed file that follows.
 */
const DumpHeader = Type.Object(
  {
    format: Type.Literal('cryptvisor-core-dump'),
    version: Type.Literal(1),
    /** The host key. */
    key: KeyReference,
    createdAt: Type.String({ maxLength: 40 }),
    process: Type.Object(
      { pid: Type.Integer({ minimum: 0 }), command: Type.String({ maxLength: 64 }) },
      { additionalProperties: false },
    ),
    /** HPKE (RFC 9180): the encapsulated key, and the sealed 32 bytes that the rest is sealed under. */
    encapsulated: base64url('{43}'),
    sealedKey: base64url('{64}'),
  },
  { additionalProperties: false },
)
export type DumpHeader = Static<typeof DumpHeader>

/** What a dump is of. */
type DumpSubject = Pick<DumpHeader, 'createdAt' | 'process'>

/** The longest first line. */
export const headerSizeMax = 4096

/** HPKE's info: the host key by name, so that a dump cannot be passed off as another's. */
const infoOf = ({ provider, keyId }: KeyReference) =>
  Buffer.from(JSON.stringify(['cryptvisor core dump 1', provider, keyId]))

const clearPart = ({ createdAt, process }: DumpSubject) => Buffer.from(JSON.stringify({ createdAt, process }))

const problemOf = shapeCheck(DumpHeader, 'header')

/** Begins a dump under a fresh key: its first line, and that key, which the caller disposes of. */
export function beginDump({ key, publicKey }: DumpKey, subject: DumpSubject): { line: Buffer; fileKey: Secret } {
  const fileKey = Secret.random(32)
  const binding = { info: infoOf(key), associatedData: clearPart(subject) }
  const sealed = hpkeSeal(Buffer.from(publicKey, 'base64url'), binding, fileKey)
  const header: DumpHeader = {
    format: 'cryptvisor-core-dump',
    version: 1,
    key,
    createdAt: subject.createdAt,
    process: subject.process,
    encapsulated: Buffer.from(sealed.encapsulated).toString('base64url'),
    sealedKey: Buffer.from(sealed.ciphertext).toString('base64url'),
  }
  return { line: Buffer.from(`${JSON.stringify(header)}\n`), fileKey }
}

/** Reads the first line of a dump out of the beginning of its file. Throws AgentError `refused` for what is none. */
export function parseDumpHeader(beginning: Uint8Array, name: string): { line: Buffer; header: DumpHeader } {
  const bytes = Buffer.from(beginning)
  const end = bytes.indexOf(0x0a)
  let value: unknown = null
  try {
    if (end >= 0) value = JSON.parse(bytes.subarray(0, end).toString('utf8'))
  } catch {
    // It is no dump of ours, which the check below says.
  }
  const problem = problemOf(value)
  if (problem !== null) throw new AgentError('refused', `${name}: is no sealed core dump: ${problem.message}`)
  // Just checked against the schema.
  return { line: bytes.subarray(0, end + 1), header: value as DumpHeader }
}

/** The key that the rest of the file is sealed under. Throws AgentError `refused` when `hostKey` is not what it was sealed to. */
export function openDumpKey(header: DumpHeader, hostKey: Secret, name: string): Secret {
  const message = {
    encapsulated: Buffer.from(header.encapsulated, 'base64url'),
    ciphertext: Buffer.from(header.sealedKey, 'base64url'),
  }
  try {
    return hpkeOpen(hostKeyPairOf(hostKey), { info: infoOf(header.key), associatedData: clearPart(header) }, message)
  } catch (cause) {
    throw new AgentError(
      'refused',
      `${name}: does not open with key ${header.key.keyId} of provider ${header.key.provider}: that is another key, or the file was changed`,
      { cause },
    )
  }
}
