import type { Task } from '@cryptvisor/control-plane-api'
import type { HostRow } from '../../../database/schema.ts'
import { type Flow, prepareEncrypted } from './flow.ts'
import { admin, type World } from './world.ts'

const hostB = (world: World): Promise<HostRow> => world.process.host(world.hostB)

const begun = async (world: World, begin: Parameters<World['work']['forHosts']>[0]): Promise<Task> =>
  world.work.forHosts(begin)

/** A second cluster, into which a host may go. */
async function prepareOtherCluster(world: World): Promise<void> {
  await prepareEncrypted(world)
  await world.process.database.insertInto('cluster').values({ id: 'cluster-2', name: 'other' }).execute()
}

/** What operators do with the encryption of hosts. `host-b` has no VM; its host key is `key-2`. */
export const hostFlows: readonly Flow[] = [
  {
    name: 'rekey a host',
    prepare: prepareEncrypted,
    act: (world) => begun(world, (hosts) => hosts.rekey(admin, 'host-b', {})),
    happened: async (world) => (await hostB(world)).host_key_id !== 'key-2',
    event: 'host.crypto.host-key-changed',
    failureEvent: 'host.crypto.host-key-change-failed',
  },
  {
    name: 'enable encryption on a host',
    prepare: async () => undefined,
    act: (world) => begun(world, (hosts) => hosts.enable(admin, 'host-b', {})),
    happened: async (world) => (await hostB(world)).host_key_id !== null,
    event: 'host.crypto.enabled',
    failureEvent: 'host.crypto.enable-failed',
  },
  {
    name: 'disable encryption on a host',
    prepare: prepareEncrypted,
    act: (world) => begun(world, (hosts) => hosts.disable(admin, 'host-b')),
    happened: async (world) => (await hostB(world)).crypto_off_at !== null,
    event: 'host.crypto.disabled',
    failureEvent: null,
  },
  {
    name: 'move a host to another cluster',
    prepare: prepareOtherCluster,
    act: (world) => begun(world, (hosts) => hosts.move(admin, 'host-b', { cluster: 'other' })),
    happened: async (world) => (await hostB(world)).cluster_id === 'cluster-2',
    event: 'host.moved',
    failureEvent: null,
  },
  {
    name: 'decommission a host',
    prepare: prepareEncrypted,
    act: (world) => begun(world, (hosts) => hosts.decommission(admin, 'host-b', {})),
    happened: async (world) => (await hostB(world)).decommissioned_at !== null,
    event: 'host.decommissioned',
    failureEvent: null,
  },
  {
    name: 'remove a host',
    prepare: prepareEncrypted,
    act: (world) => begun(world, async (hosts) => hosts.remove(admin, await hostB(world))),
    happened: async (world) =>
      (await world.process.database.selectFrom('host').select('id').where('id', '=', 'host-b').execute()).length === 0,
    event: 'host.removed',
    failureEvent: null,
  },
]
