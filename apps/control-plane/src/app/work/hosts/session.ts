import type { HostConnection } from '../../ports.ts'
import type { Purpose } from '../keys/kms.ts'
import type { Outages } from '../keys/outages.ts'

/** One session of a host. */
export interface Session {
  readonly hostId: string
  readonly connection: HostConnection
  readonly outages: Outages
  readonly ended: AbortController
  /** Fires when the session is over, or the control plane stops. */
  readonly over: AbortSignal
}

/** What requests for a host that is brought up to date are for: nobody asked for them. */
export function sessionPurpose(session: Session, host: string, vm: string | null): Purpose {
  return { host, vm, user: null, task: null, outages: session.outages }
}
