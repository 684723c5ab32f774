import type { OperationRequest } from '@cryptvisor/host-agent-api'
import type { OperationHost } from './host.ts'
import { journalName, readJournal } from './journal.ts'
import { openSiteFor } from './vm-site.ts'

/** What may have a journal. */
const journalled: ReadonlySet<OperationRequest['kind']> = new Set([
  'encrypt',
  'decrypt',
  'shallow-rekey',
  'deep-rekey',
  'clone-vm',
])

/** Removes the journal of an operation that has come to its end and whose outcome is on record. Throws AgentError. */
export async function forgetJournal(
  host: Pick<OperationHost, 'datastores' | 'machines'>,
  id: string,
  request: OperationRequest,
): Promise<void> {
  if (!journalled.has(request.kind)) return
  await using site = await openSiteFor(host, request, request.vm)
  if (site === null) return
  const journal = await readJournal(site.folder)
  if (journal === null || journal.content.operationId !== id || journal.content.state !== 'cleaned') return
  await site.folder.remove(journalName)
  await site.folder.sync()
}
