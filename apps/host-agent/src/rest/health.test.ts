import assert from 'node:assert/strict'
import { request } from 'node:https'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'
import { hostUri } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { TestAgent } from '../testing/test-agent.ts'

/** As curl asks, with the certificate of the host `hostId`. */
async function ask(agent: TestAgent, hostId: string, path: string): Promise<{ status: number; body: unknown }> {
  const identity = await agent.identity({ commonName: hostId, usages: ['client'], uris: [hostUri(hostId)] })
  const key = identity.privateKey.expose((bytes) => Buffer.from(bytes))
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>()
  const options = { ca: agent.authority.certificate, cert: identity.certificate, key, agent: false }
  request(`${agent.config.url}${path}`, options, (answer) => {
    json(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject)
  })
    .on('error', reject)
    .end()
  return promise
}

test('the host itself, and no other, is told whether its agent lives and is ready; without keys it is not', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const own = (path: string) => ask(agent, agent.config.hostId, path)
  assert.deepEqual(await own('/livez'), { status: 200, body: { status: 'ok' } })
  assert.equal((await own('/v1/keys')).status, 403, 'nothing else is for it')
  assert.equal((await ask(agent, 'host-b-id', '/livez')).status, 403)
  await assert.rejects(agent.rest().call({ method: 'GET', path: '/livez' }), RestClientError)
  assert.deepEqual(await own('/readyz'), {
    status: 503,
    body: {
      status: 'not-ready',
      checks: [
        { name: 'session', ok: false, text: 'no session with the control plane: see the agent’s log for the reason' },
        {
          name: 'keys',
          ok: false,
          text: 'it holds no host key, so encrypted VMs do not open: «host show» at the control plane says why',
        },
      ],
    },
  })
  const client = await agent.client()
  const key = { provider: 'kms', keyId: 'host-key' }
  using kek = Secret.random(32)
  await client.addKey(key, kek)
  await client.setHostKey(key)
  const { body } = await own('/readyz')
  assert.ok(JSON.stringify(body).includes('{"name":"keys","ok":true,"text":""}'))
})
