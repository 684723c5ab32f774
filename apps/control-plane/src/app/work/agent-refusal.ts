import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError, type ControlPlaneErrorCode } from '../control-plane-error.ts'

/** What users are told of a call to an agent that failed; `what` names the host or field that the text begins with. */
export function agentRefusal(what: string, error: Error): ControlPlaneError {
  return new ControlPlaneError(codeOf(error), `${what}: ${error.message}`, { cause: error })
}

/** What an agent answers. Where it does not, or says no, it throws what users are told of that. */
export async function askedOf<Answer>(hostName: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof Error) throw agentRefusal(`host ${hostName}`, error)
    throw error
  }
}

function codeOf(error: Error): ControlPlaneErrorCode {
  if (!(error instanceof RestClientError)) return 'agent-failed'
  const { status, answerCode } = error
  if (status === undefined || status >= 500) return 'agent-failed'
  switch (answerCode ?? '') {
    case 'vm-busy':
      return 'vm-busy'
    case 'key-not-held':
      return 'send-key-failed'
    case 'too-many':
      return 'too-busy'
    default:
      return 'invalid'
  }
}
