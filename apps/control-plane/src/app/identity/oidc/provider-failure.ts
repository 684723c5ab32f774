import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client'
import { answerFault } from './answer-fault.ts'
import { ProviderFetchError } from './provider-fetch.ts'

/** Error codes of RFC 6749, and of OpenID Connect, are made of these; anything else is not repeated. */
const codeForm = /^[a-z_]{1,64}$/

/** The provider let somebody in and did not say who. */
export class NoIdTokenError extends Error {}

/** What is wrong, in words that hold nothing which a stranger wrote; `isBroken`: not the fault of whoever logs in. */
export interface ProviderFailure {
  readonly text: string
  readonly isBroken: boolean
}

/** Why a provider did not let somebody in; `null`: a fault of ours. */
export function failureOf(error: unknown): ProviderFailure | null {
  if (error instanceof AuthorizationResponseError) {
    const text = `the provider did not log you in: ${codeOf(error.error)}`
    return { text, isBroken: ['server_error', 'temporarily_unavailable'].includes(error.error) }
  }
  if (error instanceof ResponseBodyError) {
    if (error.error === 'invalid_grant') {
      return { text: 'the provider does not know this login any more: log in again', isBroken: false }
    }
    if (error.error === 'access_denied') return { text: 'the login was refused in the browser', isBroken: false }
    if (error.error === 'expired_token') return { text: 'nobody logged in in time: log in again', isBroken: false }
    const hint = error.error === 'invalid_client' ? ': the client ID or the client secret is wrong' : ''
    return { text: `the provider refuses the control plane: ${codeOf(error.error)}${hint}`, isBroken: true }
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    return {
      text: 'the provider refuses the control plane: the client ID or the client secret is wrong',
      isBroken: true,
    }
  }
  if (error instanceof NoIdTokenError) {
    return { text: 'the answer of the provider does not hold: it has no ID token', isBroken: true }
  }
  const fetchError = findFetchError(error)
  if (fetchError !== null) return { text: `the provider cannot be reached: ${fetchError.message}`, isBroken: true }
  if (isTimeout(error)) return { text: 'the provider does not answer in time', isBroken: true }
  if (error instanceof ClientError) {
    return { text: `the answer of the provider does not hold: ${answerFault(error)}`, isBroken: true }
  }
  return null
}

/** An error code as it may be repeated. */
export const codeOf = (text: string) => (codeForm.test(text) ? text : 'it does not say why')

function findFetchError(error: unknown): ProviderFetchError | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof ProviderFetchError) return each
  }
  return null
}

const isTimeout = (error: unknown) =>
  error instanceof ClientError && (error.code === 'OAUTH_TIMEOUT' || error.code === 'OAUTH_ABORT')
