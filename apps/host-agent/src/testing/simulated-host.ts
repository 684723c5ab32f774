import { Readable } from 'node:stream'
import type { OperationRequest, OperationStatus } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import type { SimulatedStorage } from '@cryptvisor/testkit'
import { Datastores } from '../datastore/datastores.ts'
import { Devices } from '../disk/devices.ts'
import type { KeyCache } from '../key-cache.ts'
import { BulkLimit } from '../operation/bulk-limit.ts'
import type { OperationHost } from '../operation/host.ts'
import { noMachines } from '../operation/lent-machine.ts'
import { Operations } from '../operation/operations.ts'
import { endOf } from './test-host.ts'

/** Where the VMs of a simulated host lie. */
export const datastorePath = '/datastore'

/** Small, so that a small disk is many chunks and many checkpoints. */
const chunkBytes = 16_384

/** What operations have of a host whose disks are simulated. */
export function simulatedHost(storage: SimulatedStorage, keys: KeyCache): OperationHost {
  const devices = new Devices(storage, ['/dev'], async (path) => path)
  return {
    storage,
    datastores: new Datastores(storage, null, undefined, devices),
    keys,
    cryptoSupported: true,
    bulk: new BulkLimit(2),
    exports: new BulkLimit(4),
    unlocking: new BulkLimit(1),
    lanes: { laneCount: 1, chunkBytes },
    checkpointBytes: 2 * chunkBytes,
    machines: noMachines,
    warn: () => {},
  }
}

/** An agent that just started on what lies there: it remembers no operation. */
export function startedOperations(storage: SimulatedStorage, keys: KeyCache): Operations {
  return new Operations(simulatedHost(storage, keys), { info: () => {}, warn: () => {}, error: () => {} })
}

/** Opens the volumes that are imported here. */
export const volumePassphrase = 'a passphrase that somebody chose'

/** Runs an operation to its end, and gives it what it waits for; `over`: its agent was stopped. */
export async function runToEnd(
  operations: Operations,
  id: string,
  request: OperationRequest,
  content: Uint8Array | null,
  over?: AbortSignal,
): Promise<OperationStatus> {
  operations.start(id, request)
  if (request.kind === 'import-volume') {
    using passphrase = Secret.from(new TextEncoder().encode(volumePassphrase))
    operations.passphrase(id, passphrase)
  }
  if (content === null) return await endOf(operations, id, over)
  return await operations.content(id, Readable.from([content]), content.length)
}
