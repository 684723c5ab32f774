import type { KeyReference } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { agentRefusal } from '../agent-refusal.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { findKey, setKeyState, unusedKeys } from '../keys/key-rows.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import { hostsOfCluster } from '../vms/lookup.ts'
import { parseEncryption } from '../vms/vm-store.ts'
import { deleteDetached, findDetached, releaseDetached } from './detached-disks.ts'

/** Which detached disk is to go, and what else has to be known when it is gone. */
export interface LayerRemoval {
  readonly layerId: string
  readonly clusterId: string
  readonly keys: readonly KeyReference[]
}

export const layerRemovalType = 'disk.remove-detached'

/** Removes a detached disk's files; then it is not listed any more, and hosts forget the keys that it alone needed. */
export function layerRemoval(work: WorkContext, handOver: HandOver): SagaDefinition<LayerRemoval> {
  return {
    type: layerRemovalType,
    steps: [
      {
        name: 'removing the layer’s files',
        act: async (run) => {
          await removeFiles(work, run)
          return undefined
        },
      },
      {
        name: 'having the hosts forget its keys',
        forward: true,
        act: async (run) => {
          await forgetLayer(work, run)
          await handOver.forget(run.state.clusterId, await unusedKeys(work.database, run.state.keys))
          return undefined
        },
      },
    ],
    failed: async (transaction, _record, run) => releaseDetached(transaction, run.taskId),
  }
}

/** Puts on record that the layer is gone, once. */
async function forgetLayer(work: WorkContext, { taskId, user, state }: SagaRun<LayerRemoval>): Promise<void> {
  await work.events.transaction(async (transaction, record) => {
    const layer = await transaction
      .selectFrom('detached_disk')
      .selectAll()
      .where('layer_id', '=', state.layerId)
      .executeTakeFirst()
    if (layer === undefined) return
    await deleteDetached(transaction, layer.layer_id)
    for (const key of await unusedKeys(transaction, state.keys)) {
      const row = await findKey(transaction, key)
      if (row?.state === 'current') await setKeyState(transaction, key, 'retired', work.clock())
    }
    const text = `Detached disk ${layer.layer_id}, which was disk ${layer.number} of VM ${layer.vm_name}, was removed with its data`
    const [key] = state.keys
    await record({ type: 'vm.disk-removed', vm: layer.vm_name, ...key, text, user, task: taskId })
  })
}

async function removeFiles(work: WorkContext, run: SagaRun<LayerRemoval>): Promise<void> {
  const layer = await findDetached(work.database, run.state.layerId)
  // What lies on a block device is left alone.
  if (layer.device !== null) return
  const datastore = await work.database
    .selectFrom('datastore')
    .selectAll()
    .where('id', '=', layer.datastore_id)
    .executeTakeFirstOrThrow()
  const { name, connection } = await connectedHost(work, datastore.cluster_id)
  try {
    await connection.client.removeLayer({
      datastorePath: datastore.path,
      folder: layer.folder,
      layerId: layer.layer_id,
      format: layer.format,
      encryption: parseEncryption(layer.encryption),
    })
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    throw agentRefusal(`host ${name}`, error)
  }
}

/** Any host of the cluster sees the datastore. */
async function connectedHost(work: WorkContext, clusterId: string) {
  for (const { id, name } of await hostsOfCluster(work.database, clusterId)) {
    const connection = work.hostConnections.get(id)
    if (connection !== null) return { name, connection }
  }
  throw new ControlPlaneError(
    'host-disconnected',
    'no host that sees the datastore is connected: start an agent of its cluster, see «host list», and try again',
  )
}
