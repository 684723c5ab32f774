import type { CreateVm } from '@cryptvisor/host-agent-api'
import { recordKeySizeBytes } from '@cryptvisor/key-record'
import { Secret } from '@cryptvisor/secret'
import type { Static } from 'typebox'
import { writeConfiguration } from '../home/configuration.ts'
import { keySafeName, newHomeEncryption, newHomeKey, writeKeySafe } from '../home/key-safe.ts'
import { nextVm, type Plan, refused } from './plan.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof CreateVm>

/** Stands in a folder while it is being made, and holds the ID of the operation that makes it. */
export const creatingName = 'vm.creating'

/** What creating a VM changes. Throws AgentError `refused`. */
export function createVmPlan(operationId: string, { vm, key }: Request): Plan {
  if (vm.generation !== 0) throw refused('vm.generation: a VM that is to be created has generation 0')
  if (vm.disks.length > 0) throw refused('vm.disks: a VM is created without disks; add them afterwards')
  if (vm.encryption !== null) throw refused('vm.encryption: «key» says how a new VM is encrypted')
  return {
    operationId,
    vm,
    next: nextVm(vm, { encryption: key === null ? null : newHomeEncryption(key) }),
    measured: [],
    keys: key === null ? [] : [{ part: 'VM Home', anyOf: [key] }],
    rewritesHome: true,
    makes: key === null ? [] : [keySafeName],
    removes: [creatingName],
    direction: null,
  }
}

/** Makes VM Home: the configuration, and the key safe when it is encrypted. */
export async function makeVm({ plan, folder, home, progress, keys }: Work, request: Request): Promise<Made> {
  const { vmId } = plan.vm
  const { generation } = plan.next
  progress.begin('writing VM Home')
  if (request.key === null) {
    await writeConfiguration(home, generation, request.details, { vmId, dek: null })
  } else {
    const kek = keys.one(request.key)
    using dek = Secret.random(recordKeySizeBytes)
    const key = await newHomeKey(vmId, kek, dek)
    await writeKeySafe(folder, vmId, key, kek)
    await writeConfiguration(home, generation, request.details, { vmId, dek: key.dek })
  }
  return { next: plan.next, journal: null }
}
