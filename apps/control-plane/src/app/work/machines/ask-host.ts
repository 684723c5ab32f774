import type { HostAgentClient } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pause } from '../../pause.ts'
import type { WorkContext } from '../context.ts'
import { hostOfTask } from '../hosts/host-lookup.ts'
import { retryDelayMs } from '../retry-delay.ts'
import type { SagaRun, SagaState } from '../sagas/definition.ts'

/**
 * Asks the agent of a host for what may be asked for again, until it answers: a connection that breaks says nothing. Throws its
 * refusal as `RestClientError`, and `host-disconnected` or `agent-failed` when it gave no answer for too long.
 */
export async function askHost<Answer>(
  work: WorkContext,
  host: Pick<HostRow, 'id' | 'name'>,
  run: SagaRun<SagaState>,
  ask: (client: HostAgentClient) => Promise<Answer>,
): Promise<Answer> {
  let deadline: number | null = null
  for (let failureCount = 0; ; failureCount++) {
    const connection = await hostOfTask(work, host, run.cancelling)
    try {
      return await ask(connection.client)
    } catch (error) {
      work.stopping.throwIfAborted()
      if (!(error instanceof RestClientError) || hasAnswered(error)) throw error
      deadline ??= work.clock() + work.timings.hostReturnMs
      if (work.clock() >= deadline) {
        throw new ControlPlaneError('agent-failed', `host ${host.name} gives no answer: ${error.message}`, {
          cause: error,
        })
      }
      await run.step(`waiting for ${host.name}: ${error.message}`)
      const wake = AbortSignal.any([work.stopping, run.cancelling])
      await pause(retryDelayMs(work.timings, failureCount), wake)
    }
  }
}

/** Whether the agent has decided: it is not overloaded, on its way down, or out of reach. */
export function hasAnswered(error: RestClientError): boolean {
  return error.status !== undefined && error.status !== 429 && error.status !== 503
}

/** What users are told of an agent that did not do what it was asked for. */
export function powerRefusal(host: string, error: RestClientError): ControlPlaneError {
  if (error.status === 404) {
    const text = `host ${host}: its agent does not run VMs yet: upgrade it («host show» has its version)`
    return new ControlPlaneError('host-incapable', text, { cause: error })
  }
  const { answerCode } = error
  const code = answerCode === 'vm-busy' ? 'vm-busy' : answerCode === 'key-not-held' ? 'send-key-failed' : 'agent-failed'
  return new ControlPlaneError(code, `host ${host}: ${error.message}`, { cause: error })
}
