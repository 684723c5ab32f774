import { type ErrorStatus, RestError } from '@cryptvisor/rest'
import { AgentError, type AgentErrorCode } from '../agent-error.ts'

/** What the peer is answered for each code: the one place where the agent's errors meet HTTP. */
const statuses: Readonly<Record<AgentErrorCode, ErrorStatus>> = {
  cancelled: 409,
  interrupted: 409,
  'key-not-held': 409,
  'crypto-unsupported': 501,
  refused: 422,
  'vm-busy': 423,
  'datastore-mismatch': 409,
  'file-missing': 409,
  'no-space': 507,
  'bad-image': 422,
  'verification-failed': 500,
  io: 500,
  internal: 500,
  'bad-config': 500,
  'bad-usage': 400,
  'already-enrolled': 409,
  'enrolment-refused': 403,
  'unsafe-process': 500,
  'key-conflict': 409,
  'key-in-use': 409,
  'too-many': 429,
  'operation-conflict': 409,
  'no-such-operation': 404,
  'operation-runs': 409,
  'not-waiting-for-content': 409,
  'machine-failed': 500,
  'no-such-machine': 404,
  'machine-runs': 409,
  'lease-outdated': 409,
  stopping: 503,
  left: 503,
}

/** An error of the agent as an answer; `null`: a fault of ours, of which the peer is told nothing. */
export function restErrorOf(error: unknown): RestError | null {
  if (!(error instanceof AgentError)) return null
  if (error.code === 'internal') return null
  return new RestError(statuses[error.code], error.code, error.message, { cause: error.cause })
}
