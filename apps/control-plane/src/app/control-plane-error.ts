/** Everything that business code refuses or fails with; `http/error-table.ts` maps each code to a status. */
export type ControlPlaneErrorCode =
  | 'not-logged-in'
  | 'second-factor-required'
  | 'too-busy'
  | 'no-privilege'
  | 'not-found'
  | 'already-exists'
  | 'invalid'
  | 'in-use'
  | 'vm-busy'
  | 'vm-locked'
  | 'wrong-power-state'
  | 'host-disconnected'
  | 'no-key-provider'
  | 'kms-unreachable'
  | 'kms-refused'
  | 'key-missing'
  | 'send-key-failed'
  | 'encryption-order'
  | 'host-incapable'
  | 'agent-failed'
  | 'approval-outdated'
  | 'notification-failed'
  | 'identity-source-failed'
  | 'cancelled'

/** `message` is for the user: what was wrong and what to do next; `field` names the wrong input. */
export class ControlPlaneError extends Error {
  readonly code: ControlPlaneErrorCode
  readonly field: string | undefined

  constructor(
    code: ControlPlaneErrorCode,
    message: string,
    options: { readonly field?: string; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'ControlPlaneError'
    this.code = code
    this.field = options.field
  }
}
