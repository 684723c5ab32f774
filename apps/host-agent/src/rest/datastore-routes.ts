import { BrowseDatastore, FoundFolders, FoundVm, InspectVm } from '@cryptvisor/host-agent-api'
import type { RestServer } from '@cryptvisor/rest'
import type { Datastores } from '../datastore/datastores.ts'
import { browseDatastore, inspectVm } from '../operation/inspect-vm.ts'

/** `/v1/datastores/…`: what lies there, for whoever registers VMs or compares them; nothing is changed. */
export function addDatastoreRoutes(app: RestServer, datastores: Datastores): void {
  app.post(
    '/v1/datastores/browse',
    { schema: { body: BrowseDatastore, response: { 200: FoundFolders } } },
    async ({ body }) => await browseDatastore(datastores, body),
  )

  app.post(
    '/v1/datastores/inspect',
    { schema: { body: InspectVm, response: { 200: FoundVm } } },
    async ({ body }) => await inspectVm(datastores, body),
  )
}
