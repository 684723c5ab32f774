import { KeyProvider, ProviderName, SetKeyType } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Work } from '../../app/work/work.ts'
import type { Routes } from '../routes.ts'

const ByProvider = Type.Object({ name: ProviderName })

/** Which keys a provider gives: one for each VM, or a wrapping key for many. */
export function keyTypeRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'PUT',
      url: '/api/v1/key-providers/:name/key-type',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Say which keys a provider gives from now on; VMs keep the keys that they have',
        params: ByProvider,
        body: SetKeyType,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => work.setKeyType(principal, params.name, body),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/wrapping-key',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['key-providers'],
        summary: 'Have another wrapping key made now; VMs keep the one that they have until they are rekeyed',
        params: ByProvider,
        response: { 200: KeyProvider },
      },
      handler: ({ params, principal }) => work.rotateWrappingKey(principal, params.name),
    })
  }
}
