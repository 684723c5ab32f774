import { AgentError } from './agent-error.ts'

/** The system's name of an error, such as `ENOENT`; `null` when it is no system error. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : null
}

/** An error of the file system as ours: `no-space` where room or quota ran out, else `io`. `what` names the deed. */
export function ioError(what: string, cause: unknown): AgentError {
  const errno = errnoOf(cause)
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new AgentError('no-space', `${what}: the datastore is full (${errno}); free some space and try again`, {
      cause,
    })
  }
  return new AgentError('io', `${what}: ${errno ?? 'it failed'}`, { cause })
}
