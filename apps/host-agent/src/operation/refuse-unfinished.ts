import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { journalName, readJournal } from './journal.ts'

/** A journal that is not at its end belongs to an operation that has to be recovered first. */
export async function refuseUnfinished(folder: Folder): Promise<void> {
  const journal = await readJournal(folder)
  if (journal === null) return
  const { state, operationId } = journal.content
  if (state !== 'cleaned') {
    throw new AgentError('vm-busy', `operation ${operationId} on this VM was not brought to its end; recover it first`)
  }
  await folder.remove(journalName)
  await folder.sync()
}
