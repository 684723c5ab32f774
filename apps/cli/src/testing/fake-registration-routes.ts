import {
  AcceptVm,
  DatastoreContent,
  type DatastoreFolder,
  Reconciliation,
  RegisterVm,
  Vm,
  VmComparison,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedVm } from './canned.ts'

const folder: DatastoreFolder = {
  folder: 'db1',
  vmId: 'id-of-db1',
  name: 'db1',
  generation: 3,
  encrypted: true,
  diskCount: 2,
  problem: null,
  registeredAs: null,
}

/** As after a restore: db1 was rekeyed meanwhile, db2 deleted. */
function comparisonOf(vm: string): VmComparison {
  const place = { vm, vmId: `id-of-${vm}`, datastore: 'fast', folder: vm, generation: 3 }
  if (vm === 'db2') {
    const missing = { foundGeneration: null, differences: ['db2/vm.json: is missing'], foundKeys: [] }
    return { ...place, ...missing, state: 'missing', advice: 'it was deleted or moved: «vm unregister db2»' }
  }
  return {
    ...place,
    state: 'newer',
    foundGeneration: 5,
    differences: ['VM Home: encrypted under kms/kek-1 here, encrypted under kms/kek-2 on the datastore'],
    foundKeys: [{ provider: 'kms', keyId: 'kek-2' }],
    advice: '«vm reconcile db1 --accept»',
  }
}

/** The routes of VMs that lie on datastores already. */
export function addRegistration(server: RestServer): void {
  const api = '/api/v1'
  server.get(`${api}/datastores/:name/folders`, { schema: { response: { 200: DatastoreContent } } }, async () => ({
    folders: [folder, { ...folder, folder: 'broken', name: null, vmId: null, problem: 'vm.json: expected JSON' }],
  }))
  server.post(`${api}/vms/register`, { schema: { body: RegisterVm, response: { 201: Vm } } }, async (request, reply) =>
    reply.code(201).send(cannedVm(request.body.name ?? request.body.datastoreFolder, true)),
  )
  server.post(`${api}/vms/:vm/unregister`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/reconciliation`, { schema: { response: { 200: Reconciliation } } }, async () => ({
    vms: [comparisonOf('db1'), comparisonOf('db2')],
    unregistered: [
      { datastore: 'fast', folder: 'new', name: 'new', vmId: 'id-of-new', encrypted: false, problem: null },
    ],
    unseen: ['slow'],
  }))
  server.get(`${api}/vms/:vm/reconciliation`, { schema: { response: { 200: VmComparison } } }, async ({ params }) =>
    // The route's path has this parameter.
    comparisonOf((params as { vm: string }).vm),
  )
  server.post(
    `${api}/vms/:vm/reconciliation`,
    { schema: { body: AcceptVm, response: { 200: Vm } } },
    async ({ params }) => cannedVm((params as { vm: string }).vm, true),
  )
}
