import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestClientError } from '@cryptvisor/rest'
import { agentRefusal } from './agent-refusal.ts'

test('what an agent says no to keeps its meaning, and what broke is the agent’s failure', () => {
  for (const [status, answerCode, code] of [
    [409, 'vm-busy', 'vm-busy'],
    [409, 'key-not-held', 'send-key-failed'],
    [429, 'too-many', 'too-busy'],
    [404, 'no-such-operation', 'invalid'],
    [500, 'vm-busy', 'agent-failed'],
  ] as const) {
    const cause = new RestClientError('answered', 'no', { status, answerCode })
    const error = agentRefusal('host host-a', cause)
    assert.deepEqual([error.code, error.message, error.cause], [code, 'host host-a: no', cause])
  }
  assert.equal(agentRefusal('host host-a', new RestClientError('timeout', 'late')).code, 'agent-failed')
})
