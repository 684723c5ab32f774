import { RestClientError } from '@cryptvisor/rest'

/** What the client throws when an agent says no. */
export function refusal(status: number, answerCode: string, message: string): RestClientError {
  return new RestClientError('answered', message, { status, answerCode })
}
