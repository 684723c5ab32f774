import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import type { NewDisk, VmChange } from './task-context.ts'

/** How many operations of the agent a change needs. */
export function operationCount(change: VmChange): number {
  return change.kind === 'create-vm' ? 1 + change.disks.length : 1
}

/**
 * The operation number `index` of a change, for a VM that is as `vm` says. `key` wraps the new DEKs; it is there
 * whenever something is to be encrypted.
 */
export function operationRequest(
  change: VmChange,
  index: number,
  vm: VmAuthority,
  key: KeyReference | null,
): OperationRequest {
  switch (change.kind) {
    case 'create-vm': {
      if (index === 0) {
        return { kind: 'create-vm', vm, details: change.details, key: change.encrypted ? present(key) : null }
      }
      const disk = change.disks[index - 1]
      if (disk === undefined) throw new Error(`the VM is made with ${change.disks.length} disks, not ${index}`)
      return addDisk(disk, vm, key)
    }
    case 'add-disk':
      return addDisk(change.disk, vm, key)
    case 'import-disk': {
      const { diskId, number, format, payloadBytes, policy } = change
      return { kind: 'import-disk', vm, diskId, number, format, payloadBytes, policy }
    }
    case 'encrypt':
      return {
        kind: 'encrypt',
        vm,
        home: change.home === null ? null : { key: present(key), policy: change.home.policy },
        disks: change.disks.map(({ diskId, policy }) => ({ diskId, key: present(key), policy })),
      }
    case 'decrypt':
      return {
        kind: 'decrypt',
        vm,
        home: change.home,
        disks: change.disks.map(({ diskId, policy }) => ({ diskId, policy })),
      }
    case 'delete-vm':
      return { kind: 'delete-vm', vm }
  }
}

function addDisk(disk: NewDisk, vm: VmAuthority, key: KeyReference | null): OperationRequest {
  const { diskId, number, format, virtualBytes, policy, encrypted } = disk
  return { kind: 'add-disk', vm, diskId, number, format, virtualBytes, policy, key: encrypted ? present(key) : null }
}

function present(key: KeyReference | null): KeyReference {
  if (key === null) throw new Error('there is no KEK for what is to be encrypted')
  return key
}

/** The KEKs that a host must hold to carry the operation out. */
export function keysNeeded(request: OperationRequest): readonly KeyReference[] {
  const home = request.vm.encryption?.keys ?? []
  switch (request.kind) {
    case 'create-vm':
    case 'add-disk':
      return request.key === null ? home : [...home, request.key]
    case 'import-disk':
      return home
    case 'encrypt':
      return [...home, ...(request.home === null ? [] : [request.home.key]), ...request.disks.map((disk) => disk.key)]
    case 'decrypt': {
      const chosen = new Set(request.disks.map((disk) => disk.diskId))
      return [
        ...home,
        ...request.vm.disks.flatMap((disk) => (chosen.has(disk.diskId) ? (disk.encryption?.keys ?? []) : [])),
      ]
    }
    case 'delete-vm':
      return []
  }
}
