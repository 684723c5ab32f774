import { open } from 'node:fs/promises'
import {
  type AuditCheckpoint,
  AuditExportEnd,
  AuditExportStart,
  AuditRecord,
  auditKeyFingerprint,
  auditStartHash,
  ChainWalk,
  isSignedCheckpoint,
} from '@cryptvisor/control-plane-api'
import { Value } from 'typebox/value'
import { CliError } from './cli-error.ts'

/** What an exported file holds. */
export interface AuditFile {
  readonly whole: boolean
  readonly recordCount: number
  readonly firstPosition: number | null
  /** Of the last record that is whole. */
  readonly lastPosition: number | null
  readonly lastHash: string | null
  readonly badPosition: number | null
  readonly problem: string | null
  /** SHA-256 of the public key that the file names, hex. */
  readonly keyFingerprint: string
}

/**
 * Walks along an exported audit, without any service. The file's own key proves nothing: where `fingerprint` is given
 * the file has to be signed by that key. Throws `CliError` `bad-file` for what is no export.
 */
export async function checkAuditFile(path: string, fingerprint: string | undefined): Promise<AuditFile> {
  const lines = linesOf(path)
  const first = await lines.next()
  const start: unknown = first.done === true ? null : parse(first.value)
  if (!Value.Check(AuditExportStart, start)) {
    throw new CliError('bad-file', `${path} is no export of an audit`, { next: 'write one by: audit export FILE' })
  }
  const keyFingerprint = fingerprintOf(start.publicKey, path)
  const wrong = (problem: string): AuditFile => ({ ...emptyFile, problem, keyFingerprint })
  if (fingerprint !== undefined && fingerprint !== keyFingerprint) {
    return wrong(`it is signed by another key, ${keyFingerprint}`)
  }
  if (start.checkpoint !== null && !isSignedCheckpoint(start.checkpoint, start.publicKey)) {
    return wrong(`the checkpoint at record ${start.checkpoint.position} is not signed by that key`)
  }
  return { ...(await walkAlong(lines, start.publicKey, start.checkpoint)), keyFingerprint }
}

const emptyFile = {
  whole: false,
  recordCount: 0,
  firstPosition: null,
  lastPosition: null,
  lastHash: null,
  badPosition: null,
} as const

async function walkAlong(
  lines: AsyncIterable<string>,
  publicKey: string,
  checkpoint: AuditCheckpoint | null,
): Promise<Omit<AuditFile, 'keyFingerprint'>> {
  const walk = new ChainWalk(checkpoint ?? { position: 0, hash: auditStartHash })
  let last: AuditRecord | null = null
  let end: AuditExportEnd | null = null
  let extra = false
  for await (const text of lines) {
    const value = parse(text)
    extra ||= end !== null
    if (Value.Check(AuditExportEnd, value)) end = value
    else if (!Value.Check(AuditRecord, value)) {
      const at = (last?.position ?? checkpoint?.position ?? 0) + 1
      return ending(walk, last, { position: at, problem: `record ${at} cannot be read` })
    } else if (walk.take(value)) last = value
  }
  const next = (last?.position ?? checkpoint?.position ?? 0) + 1
  const broken = walk.end(end?.head ?? null, publicKey)
  if (end === null && broken?.position === next) {
    return ending(walk, last, {
      position: next,
      problem: 'the file breaks off: its last line, the signed head, is missing',
    })
  }
  if (broken === null && extra)
    return ending(walk, last, { position: next, problem: 'something follows the signed head' })
  return ending(walk, last, broken)
}

function ending(
  walk: ChainWalk,
  last: AuditRecord | null,
  broken: { readonly position: number; readonly problem: string } | null,
): Omit<AuditFile, 'keyFingerprint'> {
  return {
    whole: broken === null,
    recordCount: walk.count,
    firstPosition: walk.firstPosition,
    lastPosition: last?.position ?? null,
    lastHash: last?.hash ?? null,
    badPosition: broken?.position ?? null,
    problem: broken?.problem ?? null,
  }
}

async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  try {
    await using file = await open(path, 'r')
    for await (const line of file.readLines()) if (line !== '') yield line
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `${path} cannot be read: ${code}`, { next: 'check the path', cause })
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function fingerprintOf(publicKey: string, path: string): string {
  try {
    return auditKeyFingerprint(publicKey)
  } catch (cause) {
    throw new CliError('bad-file', `${path} names no public key`, {
      next: 'write a new one by: audit export FILE',
      cause,
    })
  }
}
