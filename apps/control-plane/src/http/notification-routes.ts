import {
  CreateNotification,
  NotificationTarget,
  NotificationTargetList,
  notificationSecretSizeMax,
} from '@cryptvisor/control-plane-api'
import { readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'
import { secretSizeOf } from './secret-size.ts'

/** Where events and the audit are sent to. */
export function notificationRoutes({ notifications }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/notifications',
      config: { access: ['Global.Settings'] },
      schema: { tags: ['notifications'], summary: 'Notification targets', response: { 200: NotificationTargetList } },
      handler: async () => ({ targets: await notifications.list() }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/notifications/:name',
      config: { access: ['Global.Settings'] },
      schema: {
        tags: ['notifications'],
        summary: 'A notification target, what waits for it and what it lost',
        params: ByName,
        response: { 200: NotificationTarget },
      },
      handler: async ({ params }) => notifications.show(params.name),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/notifications',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: {
        tags: ['notifications'],
        summary: 'Send events or the audit somewhere; where a secret is needed, send it next',
        body: CreateNotification,
        response: { 201: NotificationTarget },
      },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await notifications.create(body, principal)),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/notifications/:name/secret',
      config: { access: ['Global.Settings'], idempotencyKey: false },
      schema: {
        tags: ['notifications'],
        summary: 'Send the secret of a target: signing key, password, or private key in PEM',
        params: ByName,
        // Bytes that go straight into a `Secret`: nothing else looks at them.
        body: { content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({}) } } },
        response: { 204: Nothing },
      },
      handler: async ({ params, body, headers, principal }, reply) => {
        const sizeBytes = secretSizeOf(headers['content-length'], notificationSecretSizeMax, 'a secret')
        using secret = await readSecret(body, sizeBytes)
        await notifications.setSecret(params.name, secret, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/notifications/:name/test',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: { tags: ['notifications'], summary: 'Send a test now', params: ByName, response: { 204: Nothing } },
      handler: async ({ params }, reply) => {
        await notifications.test(params.name)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/notifications/:name',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: {
        tags: ['notifications'],
        summary: 'Send nothing there any more',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await notifications.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })
  }
}
