import { EnableKeyPersistence, KeyPersistence as Status } from '@cryptvisor/host-agent-api'
import type { RestServer } from '@cryptvisor/rest'
import { AgentError } from '../agent-error.ts'
import type { KeyPersistence } from '../persistence/key-persistence.ts'

/** `/v1/key-persistence`: whether this host keeps its KEKs across restarts. */
export function addKeyPersistenceRoutes(
  app: RestServer,
  { cryptoSupported, persistence }: { readonly cryptoSupported: boolean; readonly persistence: KeyPersistence },
): void {
  app.put(
    '/v1/key-persistence',
    { schema: { body: EnableKeyPersistence, response: { 200: Status } } },
    async ({ body }) => {
      if (!cryptoSupported) throw new AgentError('crypto-unsupported', 'this host does not support encryption')
      await persistence.enable(body.keepDays)
      return persistence.status
    },
  )

  app.delete('/v1/key-persistence', { schema: { response: { 200: Status } } }, async () => {
    await persistence.disable()
    return persistence.status
  })
}
