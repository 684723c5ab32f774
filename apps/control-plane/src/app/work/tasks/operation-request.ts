import type { EncryptionAuthority, KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { keysOf } from '../vms/vm-store.ts'
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
    case 'import-volume': {
      const { mode, diskId, number, format, contentBytes, policy, encrypted, thin, pace } = change
      const what = { kind: 'import-volume' as const, vm, mode, diskId, number, format, contentBytes, policy }
      return { ...what, key: encrypted ? present(key) : null, ...(thin ? { thin } : {}), ...pace }
    }
    case 'encrypt':
      return {
        kind: 'encrypt',
        vm,
        home: change.home === null ? null : { key: present(key), policy: change.home.policy },
        disks: change.disks.map(({ diskId, policy, thin }) => ({
          diskId,
          key: present(key),
          policy,
          ...(thin === true ? { thin } : {}),
        })),
        ...change.pace,
      }
    case 'decrypt':
      return {
        kind: 'decrypt',
        vm,
        home: change.home,
        disks: change.disks.map(({ diskId, policy }) => ({ diskId, policy })),
        ...change.pace,
      }
    case 'shallow-rekey':
    case 'deep-rekey': {
      const home = change.home ? { key: present(key) } : null
      const disks = change.disks.map(({ diskId }) => ({ diskId, key: present(key) }))
      return change.kind === 'shallow-rekey'
        ? { kind: 'shallow-rekey', vm, home, disks }
        : { kind: 'deep-rekey', vm, home, disks, ...change.pace }
    }
    case 'relabel':
      return {
        kind: 'change-policies',
        vm,
        home: change.home,
        disks: change.disks.map(({ diskId, policy }) => ({ diskId, policy })),
      }
    case 'detach-disk':
      return { kind: 'detach-disk', vm, diskId: change.diskId, remove: change.remove }
    case 'attach-disk':
      return { kind: 'attach-disk', vm, disk: change.disk, folder: change.folder }
    case 'clone-vm':
      return cloneVm(change, vm, key)
    case 'restore-header':
      return { kind: 'restore-header', vm, diskId: change.diskId, contentBytes: change.contentBytes }
    case 'delete-vm':
      return { kind: 'delete-vm', vm }
  }
}

function addDisk(disk: NewDisk, vm: VmAuthority, key: KeyReference | null): OperationRequest {
  const { diskId, number, format, virtualBytes, policy, encrypted, device } = disk
  return {
    ...{ kind: 'add-disk', vm, diskId, number, format, virtualBytes, policy },
    key: encrypted ? present(key) : null,
    ...(device === undefined ? {} : { device }),
  }
}

/** Each part of the clone is encrypted when that of the source is: with the task's KEK, or with the source's. */
function cloneVm(
  { source, keys, diskIds, pace }: Extract<VmChange, { kind: 'clone-vm' }>,
  vm: VmAuthority,
  key: KeyReference | null,
): OperationRequest {
  const keyOf = (encryption: EncryptionAuthority | null) => {
    if (encryption === null) return null
    return present(keys === 'new' ? key : (encryption.keys.at(-1) ?? null))
  }
  return {
    kind: 'clone-vm',
    vm,
    source,
    home: { key: keyOf(source.encryption) },
    disks: source.disks.map(({ diskId, encryption }, index) => ({
      sourceDiskId: diskId,
      diskId: presentId(diskIds[index]),
      key: keyOf(encryption),
      dek: encryption === null ? 'same' : keys,
    })),
    ...pace,
  }
}

function present(key: KeyReference | null): KeyReference {
  if (key === null) throw new Error('there is no KEK for what is to be encrypted')
  return key
}

function presentId(id: string | undefined): string {
  if (id === undefined) throw new Error('there is no ID for a disk of the clone')
  return id
}

/** The KEKs that a host must hold to carry the operation out. */
export function keysNeeded(request: OperationRequest): readonly KeyReference[] {
  const home = request.vm.encryption?.keys ?? []
  switch (request.kind) {
    case 'create-vm':
    case 'add-disk':
    case 'import-volume':
      return request.key === null ? home : [...home, request.key]
    case 'import-disk':
      return home
    case 'encrypt':
      return [...home, ...(request.home === null ? [] : [request.home.key]), ...request.disks.map((disk) => disk.key)]
    case 'decrypt':
      return [...home, ...keysOfDisks(request.vm, request.disks)]
    case 'shallow-rekey':
    case 'deep-rekey':
      // Old and new: one that was cut short is finished or undone with either.
      return [
        ...home,
        ...keysOfDisks(request.vm, request.disks),
        ...(request.home === null ? [] : [request.home.key]),
        ...request.disks.map((disk) => disk.key),
      ]
    case 'clone-vm':
      return [
        ...keysOf(request.source),
        ...(request.home.key === null ? [] : [request.home.key]),
        ...request.disks.flatMap(({ key }) => (key === null ? [] : [key])),
      ]
    case 'restore-header':
      // That of VM Home may be gone, and the disk is mended all the same.
      return keysOfDisks(request.vm, [request])
    case 'attach-disk':
      return [...home, ...(request.disk.encryption?.keys ?? [])]
    case 'change-policies':
    case 'detach-disk':
    case 'delete-vm':
      return []
  }
}

function keysOfDisks(vm: VmAuthority, disks: readonly { readonly diskId: string }[]): KeyReference[] {
  const chosen = new Set(disks.map(({ diskId }) => diskId))
  return vm.disks.flatMap(({ diskId, encryption }) => (chosen.has(diskId) ? (encryption?.keys ?? []) : []))
}
