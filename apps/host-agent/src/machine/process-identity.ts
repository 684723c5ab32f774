import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A process, told from all others that have its number before or after it. */
export interface ProcessIdentity {
  readonly pid: number
  /** In clock ticks since this host started (proc(5), /proc/PID/stat, field 22). */
  readonly startTime: string
}

/** The process that has this number now; `null` when there is none, or when it ended and nobody has asked how. */
export function processOf(pid: number): ProcessIdentity | null {
  const stat = read(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  if (stat === null) return null
  // Its name, in parentheses, may hold anything, parentheses and spaces too.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // The state is field 3, so that field 20 is the seventeenth after it, and 22 the nineteenth.
  const [threadCount, startTime] = [Number(fields[16]), fields[18]]
  // Its first thread may have ended while others still have its files open, and with them its locks.
  const isOver = state === 'X' || (state === 'Z' && threadCount <= 1)
  return startTime === undefined || isOver ? null : { pid, startTime }
}

/** Whether that very process lives. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return processOf(pid)?.startTime === startTime
}

/** The processes whose working directory is `folder`, a path without links. Those of other users are not seen unless we are root. */
export function processesIn(folder: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    if (read(() => readlinkSync(`/proc/${name}/cwd`)) !== folder) continue
    const identity = processOf(Number(name))
    if (identity !== null) found.push(identity)
  }
  return found
}

/** `null` where the process is not there any more, or not ours to look at. */
function read<Value>(from: () => Value): Value | null {
  try {
    return from()
  } catch {
    return null
  }
}
