import { EnableKeyPersistence, HostKeyPersistence } from '@cryptvisor/control-plane-api'
import type { HostKeyPersistences } from '../../app/work/hosts/key-persistence.ts'
import { theHost } from '../objects.ts'
import { ByName } from '../parameters.ts'
import type { Routes } from '../routes.ts'

const url = '/api/v1/hosts/:name/key-persistence'
const changes = ['Cryptographer.RegisterHost', 'Host.Config.Settings'] as const

/** Whether a host keeps its keys across restarts. */
export function keyPersistenceRoutes(persistences: HostKeyPersistences): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url,
      config: { access: ['System.Read'], on: theHost },
      schema: {
        tags: ['hosts'],
        summary: 'Whether a host keeps its keys across restarts, whether it has a TPM, and how its memory is guarded',
        params: ByName,
        response: { 200: HostKeyPersistence },
      },
      handler: ({ params }) => persistences.show(params.name),
    })
    server.route({
      method: 'PUT',
      url,
      config: { access: changes, on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Have a host keep its keys across restarts, sealed to its TPM 2.0; refused where it has none',
        params: ByName,
        body: EnableKeyPersistence,
        response: { 200: HostKeyPersistence },
      },
      handler: async ({ params, body, principal }) => {
        await persistences.enable(principal, params.name, body.keepDays)
        return await persistences.show(params.name)
      },
    })
    server.route({
      method: 'DELETE',
      url,
      config: { access: changes, on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Have a host erase the keys that it has kept, and keep none any more',
        params: ByName,
        response: { 200: HostKeyPersistence },
      },
      handler: async ({ params, principal }) => {
        await persistences.disable(principal, params.name)
        return await persistences.show(params.name)
      },
    })
  }
}
