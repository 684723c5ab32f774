import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { WorkContext } from '../context.ts'
import type { Purpose } from '../keys/kms.ts'

/** Why a host cannot take a key. */
export type SendKeyFailure = 'disconnected' | 'incapable' | { readonly error: unknown }

/**
 * Records that keys could not be added to `host`, and gives the error for the user. `key` is what was to be handed over,
 * as far as it exists; `provider` the one that was to be asked for it.
 */
export async function sendKeyError(
  work: WorkContext,
  host: string,
  failure: SendKeyFailure,
  key: { readonly provider: string | null; readonly keyId: string | null },
  purpose: Purpose,
): Promise<ControlPlaneError> {
  const { code, reason } = explain(host, failure)
  const subject = key.keyId === null ? 'A key' : `Key ${key.keyId} of provider ${key.provider}`
  const text = `${subject} could not be added to host ${host}: ${reason}`
  const { vm, user, task, outages } = purpose
  if (outages?.begins('host', host, code) !== false) {
    await work.events.record({ type: 'host.crypto.send-key-error', host, vm, ...key, text, user, task })
  }
  return new ControlPlaneError(code, text, failure instanceof Object ? { cause: failure.error } : {})
}

function explain(
  host: string,
  failure: SendKeyFailure,
): { code: 'host-disconnected' | 'host-incapable' | 'send-key-failed'; reason: string } {
  if (failure === 'disconnected') {
    return {
      code: 'host-disconnected',
      reason: `${host} is not connected. Start its agent, see «host list», and try again`,
    }
  }
  if (failure === 'incapable' || isUnsupported(failure.error)) {
    return {
      code: 'host-incapable',
      reason: `${host} does not support encryption. Change «crypto» in its agent's configuration, or use another host`,
    }
  }
  const { error } = failure
  return {
    code: 'send-key-failed',
    reason: `${error instanceof Error ? error.message : 'unknown error'}. See «host list» and the log of its agent, and try again`,
  }
}

/** The agent itself says that it takes no keys. */
export function isUnsupported(error: unknown): boolean {
  return error instanceof RestClientError && error.answerCode === 'crypto-unsupported'
}
