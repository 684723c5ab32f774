import type { OperationRequest } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { addDiskPlan, makeDisk } from './add-disk.ts'
import { attachDiskPlan, makeAttached } from './attach-disk.ts'
import { changePoliciesPlan } from './change-policies.ts'
import { cloneVmPlan, makeCloned } from './clone-vm.ts'
import { createVmPlan, makeVm } from './create-vm.ts'
import { decryptPlan, makeDecrypted } from './decrypt.ts'
import { decryptInPlacePlan, makeDecryptedInPlace } from './decrypt-in-place.ts'
import { deepRekeyPlan, makeDeepRekeyed } from './deep-rekey.ts'
import { detachDiskPlan } from './detach-disk.ts'
import { encryptPlan, makeEncrypted } from './encrypt.ts'
import { encryptInPlacePlan, makeEncryptedInPlace } from './encrypt-in-place.ts'
import { importDiskPlan, makeImported } from './import-disk.ts'
import { importVolumePlan, makeImportedVolume } from './import-volume.ts'
import { namesDevice } from './in-place.ts'
import type { Incoming } from './incoming.ts'
import { isInPlace } from './journal.ts'
import type { Plan } from './plan.ts'
import { makeRestoredHeader, restoreHeaderPlan } from './restore-header.ts'
import { makeShallowRekeyed, shallowRekeyPlan } from './shallow-rekey.ts'
import type { Made, Work } from './work.ts'

/** An operation that ends in a new `vm.json`: all but deleting. */
export type Change = Exclude<OperationRequest, { kind: 'delete-vm' }>

/** What a change does. Throws AgentError `refused` for one that its request shows to be impossible. */
export function planOf(operationId: string, change: Change): Plan {
  switch (change.kind) {
    case 'create-vm':
      return createVmPlan(operationId, change)
    case 'add-disk':
      return addDiskPlan(operationId, change)
    case 'import-disk':
      return importDiskPlan(operationId, change)
    case 'encrypt':
      return namesDevice(change.vm, change.disks)
        ? encryptInPlacePlan(operationId, change)
        : encryptPlan(operationId, change)
    case 'decrypt':
      return namesDevice(change.vm, change.disks)
        ? decryptInPlacePlan(operationId, change)
        : decryptPlan(operationId, change)
    case 'import-volume':
      return importVolumePlan(operationId, change)
    case 'shallow-rekey':
      return shallowRekeyPlan(operationId, change)
    case 'deep-rekey':
      return deepRekeyPlan(operationId, change)
    case 'clone-vm':
      return cloneVmPlan(operationId, change)
    case 'restore-header':
      return restoreHeaderPlan(operationId, change)
    case 'change-policies':
      return changePoliciesPlan(operationId, change)
    case 'detach-disk':
      return detachDiskPlan(operationId, change)
    case 'attach-disk':
      return attachDiskPlan(operationId, change)
  }
}

/** Makes what a change's plan says. `incoming` is what an import is sent. */
export async function make(work: Work, change: Change, incoming: Incoming | null): Promise<Made> {
  switch (change.kind) {
    case 'create-vm':
      return await makeVm(work, change)
    case 'add-disk':
      return await makeDisk(work, change)
    case 'import-disk':
      if (incoming === null) throw new AgentError('internal', 'an import without content')
      return await makeImported(work, change, incoming.content)
    case 'encrypt':
      return isInPlace(work.plan.direction)
        ? await makeEncryptedInPlace(work, change)
        : await makeEncrypted(work, change)
    case 'decrypt':
      return isInPlace(work.plan.direction)
        ? await makeDecryptedInPlace(work, change)
        : await makeDecrypted(work, change)
    case 'import-volume':
      if (incoming === null) throw new AgentError('internal', 'an import without content')
      return await makeImportedVolume(work, change, incoming)
    case 'shallow-rekey':
      return await makeShallowRekeyed(work, change)
    case 'deep-rekey':
      return await makeDeepRekeyed(work, change)
    case 'clone-vm':
      return await makeCloned(work, change)
    case 'restore-header':
      if (incoming === null) throw new AgentError('internal', 'a restore without content')
      return await makeRestoredHeader(work, change, incoming.content)
    case 'attach-disk':
      return await makeAttached(work)
    case 'change-policies':
    case 'detach-disk':
      // The commit is all.
      return { next: work.plan.next, journal: null }
  }
}
