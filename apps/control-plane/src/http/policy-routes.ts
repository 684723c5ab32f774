import {
  ChangeStoragePolicy,
  CreateStoragePolicy,
  StoragePolicy,
  StoragePolicyList,
} from '@cryptvisor/control-plane-api'
import { contentRules } from '../app/content-rules.ts'
import { policyPath } from '../app/inventory/object-paths.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed, thePolicy } from './objects.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

/** Storage policies. Those that encrypt need Cryptographer.ManageEncryptionPolicy beside what the route says. */
export function policyRoutes({ policies }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/policies',
      config: { access: ['StorageProfile.View'], on: eachListed },
      schema: { tags: ['policies'], summary: 'All storage policies', response: { 200: StoragePolicyList } },
      handler: async ({ principal }) => ({
        policies: (await policies.list()).filter(({ id, name }) =>
          principal.can('StorageProfile.View', policyPath(id, name)),
        ),
      }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/policies/:name',
      config: { access: ['StorageProfile.View'], on: thePolicy },
      schema: {
        tags: ['policies'],
        summary: 'One storage policy with its rules',
        params: ByName,
        response: { 200: StoragePolicy },
      },
      handler: ({ params }) => policies.show(params.name),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/policies',
      config: { access: ['StorageProfile.Update'], also: [contentRules.managesEncryption], rehearse: true },
      schema: {
        tags: ['policies'],
        summary: 'Make a storage policy, or clone one (that encrypts: needs Cryptographer.ManageEncryptionPolicy)',
        body: CreateStoragePolicy,
        response: { 201: StoragePolicy },
      },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await policies.create(body, principal)),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/policies/:name',
      config: { access: ['StorageProfile.Update'], also: [contentRules.managesEncryption], rehearse: true },
      schema: {
        tags: ['policies'],
        summary: 'Change the rules of a storage policy; VMs stay as they are until it is applied to them',
        params: ByName,
        body: ChangeStoragePolicy,
        response: { 200: StoragePolicy },
      },
      handler: ({ params, body, principal }) => policies.change(params.name, body, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/policies/:name',
      config: { access: ['StorageProfile.Update'], also: [contentRules.managesEncryption], rehearse: true },
      schema: {
        tags: ['policies'],
        summary: 'Remove a storage policy that no VM has',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await policies.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })
  }
}
