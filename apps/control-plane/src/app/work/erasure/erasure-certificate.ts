import { join } from 'node:path'
import type { ErasureCertificate } from '@cryptvisor/control-plane-api'
import { timeText } from '../../clock.ts'
import type { SagaRun } from '../sagas/definition.ts'
import type { EraseState } from './erase-state.ts'

/** What a finished erasure says of itself. Throws when it is not finished: nothing is certified that was not confirmed. */
export function erasureCertificate(
  { state, taskId, user }: Pick<SagaRun<EraseState>, 'state' | 'taskId' | 'user'>,
  limits: readonly string[],
  controlPlane: string,
  now: number,
): ErasureCertificate {
  const { vm, filesRemovedAt } = state
  if (filesRemovedAt === null) throw new Error('the files of a VM that is to be certified as erased are not removed')
  return {
    format: 'cryptvisor/erasure-certificate/1',
    id: taskId,
    issuedAt: timeText(now),
    controlPlane,
    vm: {
      id: vm.vmId,
      name: vm.name,
      cluster: state.cluster.name,
      datastore: state.datastore,
      path: join(vm.datastorePath, vm.folder),
      disks: vm.disks.map(({ number, layerId, virtualBytes, device, encryption }) => ({
        number,
        layerId,
        luksUuid: encryption?.luksUuid ?? null,
        sizeBytes: virtualBytes,
        device: device ?? null,
        encrypted: encryption !== null,
      })),
    },
    requestedBy: user,
    approvedBy: state.approvedBy,
    approval: state.approvalId,
    reason: state.reason,
    task: taskId,
    begunAt: timeText(state.begunAt),
    keys: state.keys.map(({ key, answer, destroyedAt, before }) => {
      if (destroyedAt === null) throw new Error(`key ${key.keyId} is not destroyed`)
      return { provider: key.provider, keyId: key.keyId, answer, destroyedAt: timeText(destroyedAt), before }
    }),
    hosts: state.hosts.map(({ name, outcome, at, text }) => ({ name, outcome, at: timeText(at), text })),
    filesRemovedAt: timeText(filesRemovedAt),
    notReached: [...limits],
  }
}
