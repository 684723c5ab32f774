import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { isInPlace, readJournal } from './journal.ts'
import { isKeptHeaderName } from './kept-header.ts'
import type { Plan } from './plan.ts'

/**
 * Whether an operation that rewrites a device in place and ran into `error` has to stay as it is, since it has begun to move
 * data. One that is gone on with stays in any case: its journal may be an old one that somebody put back. Only where the header
 * that it kept is missing there is nothing left to go on with.
 */
export async function staysHalfway(
  folder: Folder,
  { operationId, direction }: Plan,
  resumed: boolean,
  error: unknown,
): Promise<boolean> {
  if (!isInPlace(direction)) return false
  if (resumed) return !(error instanceof AgentError && error.code === 'interrupted')
  const content = (await readJournal(folder))?.content
  return content?.operationId === operationId && content.parts.some(({ state }) => state !== 'waiting')
}

/**
 * Refuses to undo an operation that rewrites a device in place, of which something lies there that could not be gone on with:
 * data may have moved, and then its header is all that opens them. Throws AgentError `datastore-mismatch`.
 */
export async function refuseHalfway(folder: Folder, { operationId, direction, makes }: Plan): Promise<void> {
  if (!isInPlace(direction)) return
  const journal = await readJournal(folder)
  const begun = journal?.content.operationId === operationId
  for (const name of makes.filter(isKeptHeaderName)) {
    if (!begun && !(await folder.has(name))) continue
    throw new AgentError(
      'datastore-mismatch',
      `${folder.path}: journal.json is not the one to go on with, yet a disk may have been rewritten in place up to somewhere: bring the last one back; all stays as it is`,
    )
  }
}
