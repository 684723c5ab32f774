import type { OperationRequest } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import type { Change } from './changes.ts'
import type { Task } from './host.ts'

/** What an import or a restore is sent in calls of their own. */
export interface Incoming {
  readonly content: AsyncIterable<Uint8Array>
  /** Of the volume that the content is; `null` for an image that lies plain. It stays the task's. */
  readonly passphrase: Secret | null
}

/** How many bytes of content a request is about; `null` for one that has none. */
export function contentBytesOf(request: OperationRequest): number | null {
  if (request.kind === 'import-disk') return request.payloadBytes
  return request.kind === 'import-volume' || request.kind === 'restore-header' ? request.contentBytes : null
}

/** Waits for what a change is sent: a passphrase first, then the content; `null` for one that is sent nothing. */
export async function awaitIncoming(task: Task, change: Change): Promise<Incoming | null> {
  if (contentBytesOf(change) === null) return null
  const passphrase = change.kind === 'import-volume' ? await task.passphrase() : null
  return { passphrase, content: await task.content() }
}
