import { Readable } from 'node:stream'
import { ConfirmBackup, KeyProvider, SetKeyType, WaitingRestore } from '@cryptvisor/control-plane-api'
import { type RestServer, readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { cannedProvider, cannedTime } from './canned.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

const generations = [{ generation: 1, createdAt: cannedTime, backedUpAt: cannedTime, keyCount: 2 }]
const native = { generation: 1, isBackedUp: true, restoredAt: null, generations }
const nkp: KeyProvider = { ...cannedProvider, name: 'nkp', kind: 'native', isDefault: true, servers: [], native }
const wrapping = { keyId: 'kek-9', since: cannedTime, rotationDays: 90, nextRotationAt: cannedTime }

const file = { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } }

/** Answers about native providers and wrapping keys; what came as bytes is kept. */
export function addFakeNativeRoutes(server: RestServer, made: Promise<FakeControlPlane>): void {
  const one = '/api/v1/native-key-providers'
  const keep = async ({ body, headers }: { readonly body: unknown; readonly headers: Record<string, unknown> }) => {
    using secret = await readSecret(body, Number(headers['content-length']))
    ;(await made).secrets.push(secret.expose((bytes) => Buffer.from(bytes).toString()))
  }
  const body201 = { schema: { response: { 201: KeyProvider } } }
  const body200 = { schema: { response: { 200: KeyProvider } } }
  server.post(one, body201, async (_request, reply) => reply.code(201).send(nkp))
  server.post(`${one}/:name/backup`, { schema: { response: { 200: file } } }, async (request, reply) => {
    await keep(request)
    const content = Buffer.from('the backup')
    return reply
      .type('application/octet-stream')
      .header('content-length', content.length)
      .send(Readable.from([content]))
  })
  server.post(
    `${one}/:name/backup/confirm`,
    { schema: { body: ConfirmBackup, response: { 200: KeyProvider } } },
    async () => nkp,
  )
  server.post(`${one}/:name/generations`, body200, async () => nkp)
  server.delete(`${one}/:name/generations/:generation`, body200, async () => nkp)
  const restores = '/api/v1/native-key-provider-restores'
  server.post(restores, { schema: { response: { 201: WaitingRestore } } }, async (request, reply) => {
    await keep(request)
    return reply.code(201).send({ id: 'restore-1', expiresAt: cannedTime })
  })
  server.post(`${restores}/:id`, { schema: { response: { 201: KeyProvider } } }, async (request, reply) => {
    await keep(request)
    return reply.code(201).send(nkp)
  })
  server.put(
    '/api/v1/key-providers/:name/key-type',
    { schema: { body: SetKeyType, response: { 200: KeyProvider } } },
    async ({ body }) => ({ ...cannedProvider, wrapping: body.keyType === 'raw' ? null : wrapping }),
  )
  server.post('/api/v1/key-providers/:name/wrapping-key', body200, async () => ({ ...cannedProvider, wrapping }))
}
