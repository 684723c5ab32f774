import { setTimeout as sleep } from 'node:timers/promises'
import type { Task } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClientError } from '@cryptvisor/rest/client'
import { CliError } from './cli-error.ts'
import { isPassingFailure } from './passing-failure.ts'
import { type ProgressDisplay, progressOf } from './progress.ts'

/** How often to ask how a task is: soon at first, since most tasks are short. */
export interface PollPace {
  readonly firstMs: number
  readonly lastMs: number
}

const pollGrowth = 1.5

/** How long to wait after a wait of `pollMs`. */
export const nextPollMs = (pollMs: number, { lastMs }: PollPace): number => Math.min(pollMs * pollGrowth, lastMs)

/** A control plane that restarts comes back; so many answers in a row may be missing. */
const missedPollsMax = 30

export interface WaitOptions {
  readonly signal: AbortSignal
  readonly display: ProgressDisplay
  readonly pace: PollPace
}

/**
 * Waits until the task has ended and gives it as it is then, whether it went well or not. Throws `CliError`
 * `interrupted` when the signal is aborted: the task goes on; `unreachable` when nobody answers any more.
 */
export async function waitForTask(client: ControlPlaneClient, started: Task, options: WaitOptions): Promise<Task> {
  const { signal, display, pace } = options
  let task = started
  let pollMs = pace.firstMs
  let missedPolls = 0
  while (!hasEnded(task)) {
    display.update(progressOf(task))
    try {
      await sleep(pollMs, undefined, { signal })
      task = await orAborted(client.task(task.id), signal)
      missedPolls = 0
    } catch (error) {
      if (signal.aborted) throw leftRunning(task)
      missedPolls++
      if (isSessionEnd(error)) throw loggedOut(task, error)
      if (!isPassingFailure(error)) throw error
      if (missedPolls > missedPollsMax) throw lostContact(task, error)
    }
    pollMs = nextPollMs(pollMs, pace)
  }
  return task
}

/** Gives the task back when it ended well. Throws `CliError` `task-failed` or `task-cancelled` when it did not. */
export function requireSuccess(task: Task): Task {
  if (task.state === 'cancelled') {
    throw new CliError('task-cancelled', `${nameOf(task)} was cancelled`, { next: howToSeeMore(task) })
  }
  if (task.state === 'error') {
    const reason = task.error?.message ?? 'the control plane gave no reason'
    throw new CliError('task-failed', `${nameOf(task)} failed: ${reason}`, {
      ...(task.error === null ? {} : { serviceCode: task.error.code }),
      next: howToSeeMore(task),
    })
  }
  return task
}

export function hasEnded({ state }: Task): boolean {
  return state === 'success' || state === 'error' || state === 'cancelled'
}

/** Such as `vm.encrypt of db1`. */
export function nameOf(task: Task): string {
  return `${task.type} of ${task.target.name}`
}

function howToSeeMore({ id }: Task): string {
  return `see more: cryptvisor task show ${id}`
}

function leftRunning(task: Task): CliError {
  return new CliError('interrupted', `${nameOf(task)} goes on without you (task ${task.id})`, {
    next: `watch it: cryptvisor task watch ${task.id}; stop it: cryptvisor task cancel ${task.id}`,
  })
}

function isSessionEnd(error: unknown): boolean {
  return error instanceof RestClientError && error.status === 401
}

function loggedOut(task: Task, cause: unknown): CliError {
  return new CliError('not-logged-in', `the session has ended; ${nameOf(task)} goes on without you (task ${task.id})`, {
    next: `log in (cryptvisor login), then watch it: cryptvisor task watch ${task.id}`,
    cause,
  })
}

function lostContact(task: Task, cause: unknown): CliError {
  return new CliError('unreachable', `the control plane does not answer any more; ${nameOf(task)} may go on`, {
    next: `when it is back: cryptvisor task watch ${task.id}`,
    cause,
  })
}

function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}
