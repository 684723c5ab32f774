import type { Readable } from 'node:stream'
import { CoreDumps, kekSizeBytes } from '@cryptvisor/host-agent-api'
import { type RestServer, readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { listDumps, openDumpNamed } from '../dumps/read-dump.ts'
import { type KeyCache, kidOf } from '../key-cache.ts'

const ByDump = Type.Object({ dump: Type.String({ minLength: 1, maxLength: 100 }) })
const Bytes = { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } }

/** `/v1/dumps`: the core dumps that lie sealed on this host. */
export function addDumpRoutes(app: RestServer, keys: KeyCache, folder: string): void {
  app.get('/v1/dumps', { schema: { response: { 200: CoreDumps } } }, async () => ({ dumps: await listDumps(folder) }))

  app.post(
    '/v1/dumps/:dump/open',
    { schema: { params: ByDump, response: { 200: Bytes } } },
    async ({ params }, reply) => {
      await using stack = new AsyncDisposableStack()
      const dump = stack.use(await openDumpNamed(folder, params.dump))
      using loan = keys.borrow(dump.header.key)
      if (loan === null) throw new AgentError('key-not-held', `${kidOf(dump.header.key)}: this host does not hold it`)
      const content = dump.plain(loan.kek)
      stack.move()
      return reply.type('application/octet-stream').header('content-length', dump.plainSizeBytes).send(content)
    },
  )

  // With a host key of before, which is not kept.
  app.post(
    '/v1/dumps/:dump/open-with-key',
    { schema: { params: ByDump, response: { 200: Bytes } } },
    async ({ params, body }, reply) => {
      using hostKey = await readSecret(body, kekSizeBytes)
      await using stack = new AsyncDisposableStack()
      const dump = stack.use(await openDumpNamed(folder, params.dump))
      const content = dump.plain(hostKey)
      stack.move()
      return reply.type('application/octet-stream').header('content-length', dump.plainSizeBytes).send(content)
    },
  )
}
