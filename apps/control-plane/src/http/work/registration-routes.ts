import {
  AcceptVm,
  DatastoreContent,
  NameOrId,
  Reconciliation,
  RegisterVm,
  Vm,
  VmComparison,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../../app/content-rules.ts'
import type { Work } from '../../app/work/work.ts'
import { theDatastore, theNamedFolder, theVm } from '../objects.ts'
import { ByName, Nothing } from '../parameters.ts'
import type { Routes } from '../routes.ts'

const ByVm = Type.Object({ vm: NameOrId })

/** VMs that lie on datastores already, and what became of those that are registered. */
export function registrationRoutes(work: Work): Routes {
  const { registration, reconciliation } = work
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/datastores/:name/folders',
      config: { access: ['Datastore.Browse'], on: theDatastore },
      schema: {
        tags: ['datastores'],
        summary: 'The folders of a datastore that hold VMs, registered or not, as a connected host sees them',
        params: ByName,
        response: { 200: DatastoreContent },
      },
      handler: async ({ params }) => ({ folders: await registration.browse(params.name) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/register',
      config: {
        access: ['VirtualMachine.Inventory.Register'],
        on: theNamedFolder,
        also: [contentRules.registerEncrypted, contentRules.allocate, contentRules.makeSafe],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary:
          'Take a VM into the inventory that lies on a datastore; an encrypted one needs Cryptographer.RegisterVM',
        body: RegisterVm,
        response: { 201: Vm },
      },
      handler: async ({ body, principal }, reply) =>
        reply.code(201).send(await work.showVm(await registration.register(principal, body))),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/unregister',
      config: {
        access: ['VirtualMachine.Inventory.Unregister'],
        on: theVm,
        also: [contentRules.registerEncrypted],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary:
          'Take a VM out of the inventory; its files and keys stay (an encrypted one needs Cryptographer.RegisterVM)',
        params: ByVm,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await registration.unregister(principal, params.vm)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/reconciliation',
      config: { access: ['Datastore.Browse', 'VirtualMachine.Inventory.Register'] },
      schema: {
        tags: ['vms'],
        summary: 'What datastores say of all VMs beside what the inventory says, and VMs that are not in the inventory',
        response: { 200: Reconciliation },
      },
      handler: () => reconciliation.report(),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/vms/:vm/reconciliation',
      config: { access: ['VirtualMachine.Inventory.Register'], on: theVm },
      schema: {
        tags: ['vms'],
        summary: 'What the datastore says of a VM beside what the inventory says',
        params: ByVm,
        response: { 200: VmComparison },
      },
      handler: ({ params }) => reconciliation.compare(params.vm),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/reconciliation',
      config: {
        access: ['Cryptographer.RegisterVM', 'VirtualMachine.Inventory.Register'],
        on: theVm,
        also: [contentRules.acceptPlain],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary:
          'Accept what the datastore says of a VM, of the generation that was shown; what becomes plain needs Cryptographer.Decrypt',
        params: ByVm,
        body: AcceptVm,
        response: { 200: Vm },
      },
      handler: async ({ params, body, principal }) => {
        await reconciliation.accept(principal, params.vm, body.generation)
        return work.showVm(params.vm)
      },
    })
  }
}
