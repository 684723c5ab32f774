import { Approval, EraseVm, Erasure, ErasureList, NameOrId } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Erasures } from '../../app/work/erasure/erasures.ts'
import type { Routes } from '../routes.ts'

/** Crypto-erase of VMs, and the certificates of it. */
export function erasureRoutes(erasures: Erasures): Routes {
  return (server) => {
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/erase',
      config: { access: ['Cryptographer.ManageKeys', 'VirtualMachine.Inventory.Delete'], rehearse: true },
      schema: {
        tags: ['vms'],
        summary:
          'Ask for the destruction of every key that a VM’s data was ever encrypted with, and of its files; a second user approves it',
        params: Type.Object({ vm: NameOrId }),
        body: EraseVm,
        response: { 200: Approval },
      },
      handler: ({ params, body, principal }) => erasures.request(params.vm, body, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/erasures',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: { tags: ['vms'], summary: 'VMs that were erased, the newest first', response: { 200: ErasureList } },
      handler: async () => ({ erasures: await erasures.list() }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/erasures/:id',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['vms'],
        summary: 'The certificate of an erasure, by its ID, or by the VM’s ID or name: then the newest',
        params: Type.Object({ id: NameOrId }),
        response: { 200: Erasure },
      },
      handler: ({ params }) => erasures.show(params.id),
    })
  }
}
