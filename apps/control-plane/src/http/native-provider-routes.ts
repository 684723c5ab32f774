import {
  backupPasswordSizeMax,
  ConfirmBackup,
  KeyProvider,
  nativeBackupSizeMax,
  ProviderName,
  WaitingRestore,
} from '@cryptvisor/control-plane-api'
import { readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import type { Routes } from './routes.ts'
import { secretSizeOf } from './secret-size.ts'

const ByProvider = Type.Object({ name: ProviderName })
const ByGeneration = Type.Object({ name: ProviderName, generation: Type.Integer({ minimum: 1, maximum: 999_999 }) })
const ById = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) })

/** Bytes that go straight into a `Secret`: nothing else looks at them. */
const secretBody = { content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({}) } } }

/** Native key providers. Derivation keys leave in a backup under a password, and in no other answer. */
export function nativeProviderRoutes({ nativeProviders, nativeRestores }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'POST',
      url: '/api/v1/native-key-providers',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Add a native key provider; it makes no keys before its backup was taken and confirmed',
        body: Type.Object({ name: ProviderName }, { additionalProperties: false }),
        response: { 201: KeyProvider },
      },
      handler: async ({ body, principal }, reply) =>
        reply.code(201).send(await nativeProviders.add(body.name, principal)),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/native-key-providers/:name/backup',
      config: { access: ['Cryptographer.ManageKeyServers', 'Cryptographer.ManageKeys'], idempotencyKey: false },
      schema: {
        tags: ['key-providers'],
        summary: 'Send a password (UTF-8) and get the derivation keys under it, PKCS#12 (application/octet-stream)',
        params: ByProvider,
        body: secretBody,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Uint8Array>({}) } } } },
      },
      handler: async ({ params, body, headers, principal }, reply) => {
        using password = await readSecret(body, passwordSizeOf(headers['content-length']))
        const file = await nativeProviders.backUp(params.name, password, principal)
        return reply.type('application/octet-stream').header('content-length', file.length).send(file)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/native-key-providers/:name/backup/confirm',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Say that the backup that was read out last is whole where it was written: keys can be made then',
        params: ByProvider,
        body: ConfirmBackup,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => nativeProviders.confirmBackup(params.name, body.sha256, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/native-key-providers/:name/generations',
      config: { access: ['Cryptographer.ManageKeyServers', 'Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Give a native key provider a new derivation key; it wants a backup before keys are made with it',
        params: ByProvider,
        response: { 200: KeyProvider },
      },
      handler: ({ params, principal }) => nativeProviders.rotate(params.name, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/native-key-providers/:name/generations/:generation',
      config: { access: ['Cryptographer.ManageKeyServers', 'Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Destroy an earlier derivation key whose keys are all destroyed',
        params: ByGeneration,
        response: { 200: KeyProvider },
      },
      handler: ({ params, principal }) => nativeProviders.destroyGeneration(params.name, params.generation, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/native-key-provider-restores',
      config: { access: ['Cryptographer.ManageKeyServers'], idempotencyKey: false },
      schema: {
        tags: ['key-providers'],
        summary: 'Send a backup of a native key provider; it waits, sealed, for an hour for its password',
        body: secretBody,
        response: { 201: WaitingRestore },
      },
      handler: async ({ body, headers }, reply) => {
        const sizeBytes = secretSizeOf(headers['content-length'], nativeBackupSizeMax, 'a backup in PKCS#12')
        using file = await readSecret(body, sizeBytes)
        return reply.code(201).send(await nativeRestores.put(file))
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/native-key-provider-restores/:id',
      config: { access: ['Cryptographer.ManageKeyServers', 'Cryptographer.ManageKeys'], idempotencyKey: false },
      schema: {
        tags: ['key-providers'],
        summary: 'Send the password (UTF-8) of a backup that waits, and restore its provider with its ID',
        params: ById,
        body: secretBody,
        response: { 201: KeyProvider },
      },
      handler: async ({ params, body, headers, principal }, reply) => {
        using password = await readSecret(body, passwordSizeOf(headers['content-length']))
        return reply.code(201).send(await nativeRestores.restore(params.id, password, principal))
      },
    })
  }
}

function passwordSizeOf(contentLength: string | undefined): number {
  return secretSizeOf(contentLength, backupPasswordSizeMax, 'a password')
}
