import { RemoveLayer } from '@cryptvisor/host-agent-api'
import type { RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { OperationHost } from '../operation/host.ts'
import { removeLayer } from '../operation/remove-layer.ts'

/** `/v1/layers/…`: layers that belong to no VM. */
export function addLayerRoutes(app: RestServer, { datastores }: OperationHost): void {
  app.post(
    '/v1/layers/remove',
    { schema: { body: RemoveLayer, response: { 204: Type.Null() } } },
    async ({ body }, reply) => {
      await removeLayer(datastores, body)
      return reply.code(204).send(null)
    },
  )
}
