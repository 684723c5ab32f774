import { RestClientError } from '@cryptvisor/rest/client'

/** Whether the same call may well go through a moment later: the control plane restarts, or the network does. */
export function isPassingFailure(error: unknown): boolean {
  if (!(error instanceof RestClientError)) return false
  return error.code === 'unreachable' || error.code === 'timeout' || error.status === 503
}
