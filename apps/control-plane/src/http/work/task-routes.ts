import { Readable } from 'node:stream'
import { NameOrId, passphraseSizeMax, Task, TaskList, TaskSpeed, TaskState } from '@cryptvisor/control-plane-api'
import { RestError, readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { requireOwner } from '../../app/work/tasks/task-owner.ts'
import type { Work } from '../../app/work/work.ts'
import { eachListed, theTarget, theTargetOfOthers } from '../objects.ts'
import { ById, Nothing } from '../parameters.ts'
import type { Routes } from '../routes.ts'
import { secretSizeOf } from '../secret-size.ts'
import { untilClosed } from '../until-closed.ts'

const TaskQuery = Type.Object(
  {
    vm: Type.Optional(NameOrId),
    state: Type.Optional(TaskState),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  { additionalProperties: false },
)

/** Tasks, and the content that an import's task waits for. */
export function taskRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/tasks',
      config: { access: ['System.Read'], on: eachListed },
      schema: {
        tags: ['tasks'],
        summary: 'Tasks, the newest first',
        querystring: TaskQuery,
        response: { 200: TaskList },
      },
      handler: async ({ query, principal }) => ({ tasks: await work.tasks.list(principal, query) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/tasks/:id',
      config: { access: ['System.Read'], on: theTargetOfOthers },
      schema: { tags: ['tasks'], summary: 'One task', params: ById, response: { 200: Task } },
      handler: ({ params }) => work.tasks.show(params.id),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/tasks/:id/cancel',
      config: { access: ['Global.CancelTask'], on: theTarget, rehearse: true },
      schema: {
        tags: ['tasks'],
        summary: 'Ask a task to stop; it ends as cancelled, or as a success when it was too late',
        params: ById,
        response: { 200: Task },
      },
      handler: ({ params }) => work.tasks.cancel(params.id),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/tasks/:id/pause',
      config: { access: ['Global.CancelTask'], on: theTarget },
      schema: {
        tags: ['tasks'],
        summary:
          'Have a task move no data until it is resumed; it goes on by itself when the agent of its host starts anew',
        params: ById,
        response: { 200: Task },
      },
      handler: ({ params }) => work.tasks.pause(params.id),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/tasks/:id/resume',
      config: { access: ['Global.CancelTask'], on: theTarget },
      schema: { tags: ['tasks'], summary: 'Let a paused task go on', params: ById, response: { 200: Task } },
      handler: ({ params }) => work.tasks.resume(params.id),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/tasks/:id/speed',
      config: { access: ['Global.CancelTask'], on: theTarget },
      schema: {
        tags: ['tasks'],
        summary: 'Limit how fast a task moves data, until the agent of its host starts anew',
        params: ById,
        body: TaskSpeed,
        response: { 200: Task },
      },
      handler: ({ params, body }) => work.tasks.limit(params.id, body),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/tasks/:id/passphrase',
      config: { access: ['VirtualMachine.Config.AddNewDisk'], on: theTarget, idempotencyKey: false },
      schema: {
        tags: ['tasks'],
        summary: 'Send the passphrase of the LUKS volume that a task imports; it is handed on and kept nowhere',
        params: ById,
        // Bytes that go straight into a `Secret`: nothing else looks at them.
        body: { content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({}) } } },
        response: { 204: Nothing },
      },
      handler: async ({ params, body, headers, principal }, reply) => {
        requireOwner(await work.tasks.show(params.id), principal)
        const sizeBytes = secretSizeOf(headers['content-length'], passphraseSizeMax, 'a passphrase')
        using passphrase = await readSecret(body, sizeBytes)
        await work.disks.sendPassphrase(params.id, passphrase, untilClosed(reply.raw))
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/tasks/:id/content',
      config: { access: ['VirtualMachine.Config.AddNewDisk'], on: theTarget, idempotencyKey: false },
      schema: {
        tags: ['tasks'],
        summary: 'Send the image that an import waits for (application/octet-stream); answers when it is on disk',
        params: ById,
        // Taken as it comes: nothing checks or keeps it here.
        body: { content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({}) } } },
        response: { 200: Task },
      },
      handler: async ({ params, body, headers, principal }, reply) => {
        requireOwner(await work.tasks.show(params.id), principal)
        if (!(body instanceof Readable)) {
          throw new RestError(415, 'wrong-content-type', 'content-type: expected application/octet-stream', {
            field: 'content-type',
          })
        }
        const length = headers['content-length']
        const contentBytes = length === undefined ? null : Number(length)
        return work.disks.sendContent(params.id, body, contentBytes, untilClosed(reply.raw))
      },
    })
  }
}
