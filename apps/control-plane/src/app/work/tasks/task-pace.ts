import type { HostAgentClient, OperationStatus } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { agentRefusal } from '../agent-refusal.ts'
import type { WorkContext } from '../context.ts'
import { hostDisconnected } from '../vms/change-request.ts'
import { findHost } from '../vms/lookup.ts'
import { parseContext } from './task-context.ts'
import type { RunningOperation } from './task-run.ts'
import type { TaskRunner } from './task-runner.ts'
import { getTask } from './task-store.ts'
import { isOver } from './task-view.ts'

/**
 * Has the host of a task that moves data pause, resume or slow it down. The agent keeps that, so it outlives a restart of
 * the control plane; an agent that starts anew runs the operation as it was asked for at first. Throws `not-found`,
 * `invalid` for a task that moves no data (any more), `host-disconnected`, `agent-failed`.
 */
export async function changePace(
  work: WorkContext,
  runner: TaskRunner,
  taskId: string,
  change: (client: HostAgentClient, operationId: string) => Promise<OperationStatus>,
): Promise<TaskRow> {
  const row = await getTask(work.database, taskId)
  if (isOver(row)) throw new ControlPlaneError('invalid', `task ${taskId} has ended`)
  const run = runner.get(taskId)
  const operation = run?.operation ?? (await operationOnRecord(work, row))
  if (run === null || operation === null) throw movesNothing(taskId)
  const connection = work.hostConnections.get(operation.hostId)
  if (connection === null) throw hostDisconnected(operation.host)
  try {
    run.noteStatus(await change(connection.client, operation.id))
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    if (error.status === 404) throw movesNothing(taskId)
    throw agentRefusal(`host ${operation.host}`, error)
  }
  return row
}

/** What the host was asked for: it may well carry it out while the control plane could not have a look. `null`: nothing. */
async function operationOnRecord(work: WorkContext, { context }: TaskRow): Promise<RunningOperation | null> {
  const open = parseContext(context)
  if (open?.phase !== 'operating' || open.operation === null) return null
  const { name } = await findHost(work.database, open.hostId)
  return { id: open.operation.id, hostId: open.hostId, host: name }
}

function movesNothing(taskId: string): ControlPlaneError {
  const message = `task ${taskId} moves no data now: try again when «task show» says that it does`
  return new ControlPlaneError('invalid', message)
}
