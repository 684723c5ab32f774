import type { Task } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { keyReference } from '../../key-reference.ts'
import type { Progress } from './progress.ts'
import { emptyContext } from './task-context.ts'

/** Whether a task has come to its end and has nothing left to do. */
export function isOver(row: Pick<TaskRow, 'state' | 'context'>): boolean {
  return row.state !== 'queued' && row.state !== 'running' && row.context === emptyContext
}

/**
 * A task as users see it. One whose outcome is on record counts as running until its events are recorded and the hosts
 * were told, so that whoever waits for its end finds all that belongs to it.
 */
export function taskView(row: TaskRow, progress: Progress | null): Task {
  const over = isOver(row)
  const ended = row.state !== 'queued' && row.state !== 'running'
  const live = ended ? null : progress
  const doneBytes = live?.doneBytes ?? row.done_bytes
  const totalBytes = live?.totalBytes ?? row.total_bytes
  return {
    id: row.id,
    type: row.type,
    target: { kind: row.target_kind, id: row.target_id, name: row.target_name },
    state: ended && !over ? 'running' : row.state,
    step: ended && !over ? 'finishing' : (live?.step ?? row.step),
    doneBytes,
    totalBytes,
    progressPercent: percent(row, doneBytes, totalBytes),
    rateBytesPerSecond: live?.rateBytesPerSecond ?? null,
    secondsLeft: live?.secondsLeft ?? null,
    key: keyReference(row.key_provider, row.key_id),
    cancelRequested: row.cancel_requested === 1,
    paused: live?.paused ?? false,
    error:
      !over || row.error_code === null || row.error_message === null
        ? null
        : { code: row.error_code, message: row.error_message },
    user: row.user_name,
    createdAt: timeText(row.created_at),
    startedAt: timeTextOrNull(row.started_at),
    endedAt: over ? timeTextOrNull(row.ended_at) : null,
  }
}

function percent(row: TaskRow, doneBytes: number, totalBytes: number): number {
  if (row.state === 'success') return 100
  return totalBytes === 0 ? 0 : Math.min(100, (100 * doneBytes) / totalBytes)
}
