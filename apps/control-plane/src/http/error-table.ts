import { type ErrorStatus, RestClientError, RestError } from '@cryptvisor/rest'
import { ControlPlaneError, type ControlPlaneErrorCode } from '../app/control-plane-error.ts'

/** The HTTP status of each error of the business code (RFC 9110, 15.5 and 15.6; 423 is RFC 4918, 429 is RFC 6585). */
const statuses: Readonly<Record<ControlPlaneErrorCode, ErrorStatus>> = {
  'not-logged-in': 401,
  'second-factor-required': 401,
  'too-busy': 429,
  'no-privilege': 403,
  'not-found': 404,
  'already-exists': 409,
  invalid: 400,
  'in-use': 409,
  'vm-busy': 409,
  'vm-locked': 423,
  'wrong-power-state': 409,
  'host-disconnected': 503,
  'no-key-provider': 409,
  'kms-unreachable': 503,
  'kms-refused': 502,
  'key-missing': 409,
  'send-key-failed': 502,
  'encryption-order': 409,
  'host-incapable': 409,
  'agent-failed': 502,
  'approval-outdated': 409,
  'notification-failed': 502,
  'identity-source-failed': 502,
  cancelled: 409,
}

/** What the peer is told of an error; `null`: a fault of ours, of which only the log learns. */
export function toRestError(error: unknown): RestError | null {
  if (error instanceof ControlPlaneError) {
    const { code, message, field, cause } = error
    return new RestError(statuses[code], code, message, { cause, ...(field === undefined ? {} : { field }) })
  }
  if (error instanceof RestClientError) {
    // No agent's text is for users unless business code said so.
    return new RestError(502, 'agent-failed', 'the host’s agent failed; the log of the control plane has the cause', {
      cause: error,
    })
  }
  return null
}
