import { createHash } from 'node:crypto'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import type { JournalPart } from './journal.ts'

/** No header that we read is longer. */
const headerSizeMax = 16_777_216

/** The name of the file that keeps the LUKS header of a layer while that is rewritten in place. */
export function keptHeaderName(layerId: string): string {
  return `${layerId}.header`
}

/** Whether a name is that of such a file. */
export function isKeptHeaderName(name: string): boolean {
  return name.endsWith('.header')
}

/** SHA-256 of a header, in hex: what the journal says of it. */
export function headerDigestOf(header: Uint8Array): string {
  return createHash('sha256').update(header).digest('hex')
}

/** Keeps a header beside the journal, durably, and makes sure that it reads back. */
export async function keepHeader(folder: Folder, name: string, header: Uint8Array): Promise<void> {
  await folder.write(name, header)
  const found = await folder.readBack(name, headerSizeMax)
  if (found?.equals(header) === true) return
  throw new AgentError('verification-failed', `${folder.path}/${name}: does not read back as it was written`)
}

/**
 * The header that was kept for what a journal says of a disk. Throws AgentError `datastore-mismatch` where it is not the one
 * that it means, `interrupted` where it is missing because nothing was moved yet.
 */
export async function keptHeader(folder: Folder, name: string, part: JournalPart): Promise<Uint8Array> {
  const { header: digest, state } = part
  const header = await folder.read(name, headerSizeMax)
  if (header === null && state === 'waiting') {
    throw new AgentError('interrupted', 'the agent stopped before any data were moved; everything is as it was')
  }
  if (header !== null && headerDigestOf(header) === digest) return header
  const found = header === null ? 'is missing' : 'is not the one that the journal means'
  throw new AgentError('datastore-mismatch', `${folder.path}/${name}: ${found}; bring it back, the disk needs it`)
}
