import type { OperationStatus } from '@cryptvisor/host-agent-api'

/** How an operation failed, as the control plane is told. */
export type OperationErrorCode = NonNullable<OperationStatus['error']>['code']

/** Everything that the agent can refuse or fail at. */
export type AgentErrorCode =
  | OperationErrorCode
  /** Something of a VM that should lie on the datastore does not. */
  | 'file-missing'
  /** A file of the agent's own folder, or an option, is not what it must be. */
  | 'bad-config'
  | 'bad-usage'
  | 'already-enrolled'
  | 'enrolment-refused'
  /** The process could be made to give its memory away: a debugger, a heap snapshot. */
  | 'unsafe-process'
  | 'key-conflict'
  | 'key-in-use'
  | 'too-many'
  | 'operation-conflict'
  | 'no-such-operation'
  | 'operation-runs'
  | 'not-waiting-for-content'
  /** QEMU did not start, or failed at what it was told. */
  | 'machine-failed'
  | 'no-such-machine'
  | 'machine-runs'
  /** Somebody asks under a lease that is not, or not any more, the VM's. */
  | 'lease-outdated'
  | 'stopping'
  /** Of an operation whose journal lets it go on when the agent is back. Nobody is told that it failed: it did not. */
  | 'left'

/** Thrown by everything in the agent. Texts say what was wrong and what to do next, and never hold key material. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentErrorCode

  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
