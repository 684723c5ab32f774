import type { ClientError } from 'openid-client'

const claimForm = /^[a-z_]{1,20}$/

/**
 * What does not hold in an answer of a provider, in words that hold nothing which a stranger wrote. It may be that somebody
 * poses as the provider, so each has a text of its own.
 */
export function answerFault(error: ClientError): string {
  const detail = detailOf(error)
  switch (error.code) {
    case 'OAUTH_JWT_CLAIM_COMPARISON_FAILED':
      return `its ID token is not for this login (claim ${claimIn(detail)})`
    case 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED':
      return `its ID token is too old or not valid yet (claim ${claimIn(detail)}): compare the clocks of provider and control plane`
    case 'OAUTH_KEY_SELECTION_FAILED':
      return 'its ID token is signed by none of its keys'
    case 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED':
      return 'attribute' in detail && detail.attribute === 'issuer'
        ? 'it calls itself another issuer than the source has: take exactly what its discovery document says'
        : 'its user info is of another user than its ID token'
    case 'OAUTH_RESPONSE_IS_NOT_CONFORM':
      return 'it answers with an unexpected HTTP status'
    case 'OAUTH_RESPONSE_IS_NOT_JSON':
    case 'OAUTH_PARSE_ERROR':
      return 'it answers with what is no JSON'
    case 'OAUTH_INVALID_RESPONSE':
      if ('signature' in detail) return 'the signature of its ID token is by none of its keys'
      return 'header' in detail
        ? 'its ID token is not signed as it has to be: by a key pair of the provider'
        : 'its answer, or its ID token, lacks what has to be there'
    case 'OAUTH_UNSUPPORTED_OPERATION':
      return 'it wants what is not done here; ID tokens count when they are signed by a key pair of the provider'
    case undefined:
      return 'it says nothing that can be read'
    default:
      return error.code
  }
}

/** What the library says of a fault lies under its errors: the innermost object that is no error. */
function detailOf(error: Error): object {
  const { cause } = error
  if (cause instanceof Error) return detailOf(cause)
  return typeof cause === 'object' && cause !== null ? cause : {}
}

const claimIn = (detail: object) =>
  'claim' in detail && typeof detail.claim === 'string' && claimForm.test(detail.claim) ? detail.claim : 'unknown'
