import { ComparedKey, HeldKeys, HostStatus, KeyReference, kekSizeBytes } from '@cryptvisor/host-agent-api'
import { type RestServer, readSecret } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import { Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import type { KeyCache } from '../key-cache.ts'
import type { KeyPersistence } from '../persistence/key-persistence.ts'

/** What the routes of the host itself need. */
export interface HostRoutesContext {
  readonly keys: KeyCache
  readonly cryptoSupported: boolean
  /** What does not change while the agent runs. */
  readonly identity: Omit<HostStatus, 'cryptoState' | 'hostKey' | 'keysHeldCount' | 'keyMemory' | 'keyPersistence'>
  keyMemory(): Promise<HostStatus['keyMemory']>
  readonly persistence: KeyPersistence
  /** Has the host's certificate renewed soon. */
  renew(): void
  /** Leaves what core dumps are sealed with from now on; on disk when it resolves. */
  sealDumpsWith(key: KeyReference, hostKey: Secret): Promise<void>
}

/** The host as it is now. */
export async function hostStatus({
  keys,
  cryptoSupported,
  identity,
  keyMemory,
  persistence,
}: Pick<
  HostRoutesContext,
  'keys' | 'cryptoSupported' | 'identity' | 'keyMemory' | 'persistence'
>): Promise<HostStatus> {
  const { hostKey } = keys
  const cryptoState = !cryptoSupported ? 'incapable' : hostKey === null ? 'prepared' : 'safe'
  return {
    ...({ ...identity, cryptoState, hostKey, keysHeldCount: keys.count } as const),
    ...{ keyMemory: await keyMemory(), keyPersistence: persistence.status },
  }
}

const Nothing = Type.Null({ description: 'No content' })

/** `/v1/host`, `/v1/keys` and `/v1/host-key`. */
export function addHostRoutes(app: RestServer, context: HostRoutesContext): void {
  const { keys, cryptoSupported, persistence, renew, sealDumpsWith } = context
  const requireCrypto = () => {
    if (!cryptoSupported) throw new AgentError('crypto-unsupported', 'this host does not support encryption')
  }

  app.get('/v1/host', { schema: { response: { 200: HostStatus } } }, () => hostStatus(context))

  app.post('/v1/renew-certificate', { schema: { response: { 202: Nothing } } }, async (_request, reply) => {
    renew()
    return await reply.code(202).send(null)
  })

  app.get('/v1/keys', { schema: { response: { 200: HeldKeys } } }, async () => ({ keys: keys.keys }))

  app.put(
    '/v1/keys/:provider/:keyId',
    { schema: { params: KeyReference, response: { 204: Nothing } } },
    async (request, reply) => {
      requireCrypto()
      keys.add(request.params, await readSecret(request.body, kekSizeBytes))
      // Many come at once: they are written together, and nobody waits for it.
      void persistence.added()
      return await reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/keys/:provider/:keyId/compare',
    { schema: { params: KeyReference, response: { 200: ComparedKey } } },
    async ({ params, body }) => {
      using kek = await readSecret(body, kekSizeBytes)
      return { result: keys.compare(params, kek) }
    },
  )

  app.delete(
    '/v1/keys/:provider/:keyId',
    { schema: { params: KeyReference, response: { 204: Nothing } } },
    async (request, reply) => {
      keys.remove(request.params)
      await persistence.removed(request.params)
      return await reply.code(204).send(null)
    },
  )

  app.put('/v1/host-key', { schema: { body: KeyReference, response: { 204: Nothing } } }, async (request, reply) => {
    requireCrypto()
    using loan = keys.borrow(request.body)
    if (loan !== null) await sealDumpsWith(request.body, loan.kek)
    const before = keys.hostKey
    keys.setHostKey(request.body)
    if (before?.provider !== request.body.provider || before.keyId !== request.body.keyId) await persistence.added()
    return await reply.code(204).send(null)
  })
}
