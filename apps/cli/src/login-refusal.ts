import { RestClientError } from '@cryptvisor/rest/client'

/** Whether a login was refused: the answer 401. */
export function isRefusedLogin(error: unknown): error is RestClientError {
  return error instanceof RestClientError && error.status === 401
}

/** Whether a login goes on with a code of the second factor. */
export const needsCode = (error: unknown) =>
  error instanceof RestClientError && error.answerCode === 'second-factor-required'
