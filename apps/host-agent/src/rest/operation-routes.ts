import { Readable } from 'node:stream'
import { Id, OperationRequest, OperationStatus, Speed } from '@cryptvisor/host-agent-api'
import { RestError, type RestServer, readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Operations } from '../operation/operations.ts'

const Params = Type.Object({ id: Id })
const answers = { 200: OperationStatus }

/** As much as cryptsetup takes. */
const passphraseSizeMax = 8192

/** `/v1/operations/{id}…` */
export function addOperationRoutes(app: RestServer, operations: Operations): void {
  app.put(
    '/v1/operations/:id',
    { schema: { params: Params, body: OperationRequest, response: answers } },
    async ({ params, body }) => operations.start(params.id, body),
  )

  app.get('/v1/operations/:id', { schema: { params: Params, response: answers } }, async ({ params }) =>
    operations.status(params.id),
  )

  app.put(
    '/v1/operations/:id/content',
    { schema: { params: Params, response: answers } },
    async ({ params, body, headers }) => {
      if (!(body instanceof Readable)) {
        throw new RestError(415, 'wrong-content-type', 'content-type: expected application/octet-stream', {
          field: 'content-type',
        })
      }
      const announced = headers['content-length']
      return await operations.content(params.id, body, announced === undefined ? null : Number(announced))
    },
  )

  app.put(
    '/v1/operations/:id/passphrase',
    { schema: { params: Params, response: { 204: Type.Null({ description: 'No content' }) } } },
    async ({ params, body, headers }, reply) => {
      using passphrase = await readSecret(body, passphraseSizeOf(headers['content-length']))
      operations.passphrase(params.id, passphrase)
      return await reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/operations/:id/recover',
    { schema: { params: Params, body: OperationRequest, response: answers } },
    async ({ params, body }) => await operations.recover(params.id, body),
  )

  app.post('/v1/operations/:id/cancel', { schema: { params: Params, response: answers } }, async ({ params }) =>
    operations.cancel(params.id),
  )

  app.post('/v1/operations/:id/pause', { schema: { params: Params, response: answers } }, async ({ params }) =>
    operations.pause(params.id),
  )

  app.post('/v1/operations/:id/resume', { schema: { params: Params, response: answers } }, async ({ params }) =>
    operations.resume(params.id),
  )

  app.put(
    '/v1/operations/:id/speed',
    { schema: { params: Params, body: Speed, response: answers } },
    async ({ params, body }) => operations.limit(params.id, body.bytesPerSecondMax),
  )

  app.delete(
    '/v1/operations/:id',
    { schema: { params: Params, response: { 204: Type.Null({ description: 'No content' }) } } },
    async ({ params }, reply) => {
      await operations.forget(params.id)
      return await reply.code(204).send(null)
    },
  )
}

/** How large the passphrase is that comes. Throws RestError. */
function passphraseSizeOf(announced: string | undefined): number {
  const sizeBytes = Number(announced)
  if (Number.isSafeInteger(sizeBytes) && sizeBytes >= 1 && sizeBytes <= passphraseSizeMax) return sizeBytes
  throw new RestError(400, 'invalid-request', `content-length: a passphrase has 1 to ${passphraseSizeMax} bytes`, {
    field: 'content-length',
  })
}
