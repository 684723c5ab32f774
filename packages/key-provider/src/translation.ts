import type { KmipClientError } from '@cryptvisor/kmip-client'
import type { ServerFailure } from './failover.ts'
import { KeyProviderError, type KeyProviderErrorCode } from './key-provider-error.ts'

/** What a refusal means where the reason alone does not say; the code for all other refusals. */
export type RefusalCode = Extract<KeyProviderErrorCode, 'denied' | 'key-unusable' | 'labels-refused'>

/** Turns a server's failure into the provider's error; `what` was asked for, as in "could not make a key". */
export function translate(
  failure: ServerFailure,
  subject: { readonly providerId: string; readonly keyId?: string },
  what: string,
  otherRefusals: RefusalCode,
): KeyProviderError {
  const { server, cause } = failure
  const key = subject.keyId === undefined ? '' : ` (key ${subject.keyId})`
  return new KeyProviderError(
    codeOf(cause, otherRefusals),
    { ...subject, server },
    `key provider ${subject.providerId} could not ${what}${key}; ${cause.message.startsWith(server) ? '' : `server ${server}: `}${forProvider(cause.message, subject.providerId)}`,
    { cause },
  )
}

/** A KMIP client does not know whose server it asks: what it says to do is made complete, so that it can be pasted. */
export function forProvider(text: string, providerId: string): string {
  return text.replaceAll('«key-provider trust server»', `«key-provider trust server ${providerId}»`)
}

/** Whether a server says that there is no such key. */
export function isMissing(error: KmipClientError): boolean {
  const reason = error.resultReason
  return reason === 'ItemNotFound' || reason === 'ObjectNotFound' || reason === 'ObjectDestroyed'
}

function codeOf(error: KmipClientError, otherRefusals: RefusalCode): KeyProviderErrorCode {
  switch (error.code) {
    case 'connect-failed':
    case 'timeout':
    case 'closed':
    case 'busy':
      return 'unreachable'
    case 'tls-failed':
    case 'invalid-options':
      return 'not-trusted'
    case 'protocol':
      return 'protocol'
    case 'invalid-request':
      return otherRefusals === 'labels-refused' ? otherRefusals : 'protocol'
    case 'operation-failed':
      if (isMissing(error)) return 'key-missing'
      return isDenial(error) && otherRefusals !== 'labels-refused' ? 'denied' : otherRefusals
  }
}

function isDenial(error: KmipClientError): boolean {
  const reason = error.resultReason
  return reason === 'PermissionDenied' || reason === 'NotAuthorised' || reason === 'AuthenticationNotSuccessful'
}
