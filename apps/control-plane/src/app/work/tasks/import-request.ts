import type { Readable } from 'node:stream'
import { RestClientError } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError, type ControlPlaneErrorCode } from '../../control-plane-error.ts'
import { agentRefusal } from '../agent-refusal.ts'
import type { Database } from '../context.ts'
import { ContentTakenError } from './import-content.ts'
import { parseContext, type VmChange } from './task-context.ts'
import type { TaskRun } from './task-run.ts'
import type { TaskRunner } from './task-runner.ts'
import { getTask } from './task-store.ts'
import { isOver } from './task-view.ts'

/** The body of a request that brings an import's image. */
export interface ContentRequest {
  readonly content: Readable
  /** As the sender says; `null` when it does not. */
  readonly contentBytes: number | null
  /** Fires when the sender is gone. */
  readonly signal: AbortSignal
}

/**
 * Sends an image on to the host whose import waits for it; gives the task when that has ended well. Throws `not-found`,
 * `invalid` when the task does not wait for these bytes, and what the task failed with.
 */
export async function sendImportContent(
  database: Database,
  runner: TaskRunner,
  taskId: string,
  { content, contentBytes, signal }: ContentRequest,
): Promise<TaskRow> {
  const { run, change } = await findImport(database, runner, taskId)
  const announced = change.kind === 'import-disk' ? change.payloadBytes : change.contentBytes
  if (contentBytes !== null && contentBytes !== announced) {
    throw new ControlPlaneError('invalid', `content-length: ${announced} bytes were announced, not ${contentBytes}`, {
      field: 'content-length',
    })
  }
  let failure: unknown = null
  try {
    await run.content.send(content, announced, signal)
  } catch (error) {
    if (error instanceof ContentTakenError) throw error
    failure = error
  }
  await runner.ended(taskId)
  const ended = await getTask(database, taskId)
  if (ended.state === 'success') return ended
  if (ended.error_code === null || ended.error_message === null) {
    throw new ControlPlaneError('invalid', `the import did not come to its end: see «task list»`, { cause: failure })
  }
  // Tasks end with the codes of business errors, or `internal`, which is not for the sender.
  const code = ended.error_code === 'internal' ? 'agent-failed' : (ended.error_code as ControlPlaneErrorCode)
  throw new ControlPlaneError(code, ended.error_message, { cause: failure })
}

/**
 * Hands a passphrase on to the host whose import of a LUKS volume waits for it; it is in memory only. Throws `not-found`,
 * `invalid` when the task waits for none, `cancelled` when its sender is gone, `agent-failed`.
 */
export async function sendImportPassphrase(
  database: Database,
  runner: TaskRunner,
  taskId: string,
  passphrase: Secret,
  signal: AbortSignal,
): Promise<void> {
  const { run, change } = await findImport(database, runner, taskId)
  if (change.kind !== 'import-volume') {
    throw new ControlPlaneError('invalid', `task ${taskId} imports no LUKS volume: it waits for no passphrase`)
  }
  try {
    await run.content.sendPassphrase(passphrase, signal)
  } catch (error) {
    if (signal.aborted) throw new ControlPlaneError('cancelled', 'whoever sent the passphrase went away')
    if (!(error instanceof RestClientError)) throw error
    throw agentRefusal('passphrase', error)
  }
}

type Import = Extract<VmChange, { kind: 'import-disk' | 'import-volume' | 'restore-header' }>

async function findImport(
  database: Database,
  runner: TaskRunner,
  taskId: string,
): Promise<{ readonly run: TaskRun; readonly change: Import }> {
  const row = await getTask(database, taskId)
  const run = runner.get(taskId)
  const context = parseContext(row.context)
  if (isOver(row) || run === null || context === null || context.phase === 'ended') {
    throw new ControlPlaneError('invalid', `task ${taskId} has ended: it waits for no content. Start another import`)
  }
  const { change } = context
  if (change.kind === 'import-disk' || change.kind === 'import-volume' || change.kind === 'restore-header') {
    return { run, change }
  }
  throw new ControlPlaneError('invalid', `task ${taskId} is no import: it waits for no content`)
}
