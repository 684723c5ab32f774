import type { DiskAuthority, KeyReference, OperationRequest } from '@cryptvisor/host-agent-api'

/** What a part of a VM must be encrypted with after an operation; `null`: it must be plain. */
export interface ExpectedPart {
  readonly policy: string
  readonly keys: readonly KeyReference[] | null
}

/** What a disk must be after an operation. */
export interface ExpectedDisk extends ExpectedPart {
  readonly number: number
  readonly format: DiskAuthority['format']
  readonly device: string | undefined
  /** What the guest sees; `null`: as much as the image says that comes. */
  readonly virtualBytes: number | null
  /** The layer that it must be still, with a key record that is not older; `null`: a new one. */
  readonly layer: DiskAuthority | null
}

/** What VM Home must be after an operation. */
export function expectedHome(request: OperationRequest): ExpectedPart {
  const same = { policy: request.vm.policy, keys: request.vm.encryption?.keys ?? null }
  switch (request.kind) {
    case 'create-vm':
      return { policy: same.policy, keys: listOf(request.key) }
    case 'clone-vm':
      return { policy: same.policy, keys: listOf(request.home.key) }
    case 'encrypt':
      return request.home === null ? same : { policy: request.home.policy, keys: [request.home.key] }
    case 'decrypt':
      return request.home === null ? same : { policy: request.home.policy, keys: null }
    case 'shallow-rekey':
    case 'deep-rekey':
      return request.home === null ? same : { policy: same.policy, keys: [request.home.key] }
    case 'change-policies':
      return request.home === null ? same : { policy: request.home.policy, keys: same.keys }
    case 'detach-disk':
    case 'attach-disk':
    case 'add-disk':
    case 'import-disk':
    case 'import-volume':
    case 'restore-header':
    case 'delete-vm':
      return same
  }
}

/** The layers that there were before an operation: a new one is none of them. */
export function layersBefore(request: OperationRequest): ReadonlySet<string> {
  const disks = request.kind === 'clone-vm' ? [...request.vm.disks, ...request.source.disks] : request.vm.disks
  return new Set(disks.map(({ layerId }) => layerId))
}

/** What the disks must be after an operation, by disk ID. */
export function expectedDisks(request: OperationRequest): ReadonlyMap<string, ExpectedDisk> {
  const disks = new Map(request.vm.disks.map((disk) => [disk.diskId, untouched(disk)]))
  const change = (diskId: string, changed: Partial<ExpectedDisk>) => {
    const before = disks.get(diskId)
    if (before !== undefined) disks.set(diskId, { ...before, ...changed })
  }
  switch (request.kind) {
    case 'add-disk':
    case 'import-disk':
    case 'import-volume':
      disks.set(request.diskId, newDisk(request))
      break
    case 'encrypt':
      for (const { diskId, key, policy, thin } of request.disks) {
        change(diskId, { policy, keys: [key], layer: null, ...(thin === true ? { format: 'qcow2' } : {}) })
      }
      break
    case 'decrypt':
      for (const { diskId, policy } of request.disks) change(diskId, { policy, keys: null, layer: null })
      break
    case 'shallow-rekey':
      for (const { diskId, key } of request.disks) change(diskId, { keys: [key] })
      break
    case 'deep-rekey':
      for (const { diskId, key } of request.disks) change(diskId, { keys: [key], layer: null })
      break
    case 'clone-vm':
      for (const { sourceDiskId, diskId, key } of request.disks) {
        const source = request.source.disks.find((disk) => disk.diskId === sourceDiskId)
        if (source === undefined) continue
        disks.set(diskId, { ...untouched(source), keys: listOf(key), device: undefined, layer: null })
      }
      break
    case 'change-policies':
      for (const { diskId, policy } of request.disks) change(diskId, { policy })
      break
    case 'detach-disk':
      disks.delete(request.diskId)
      break
    case 'attach-disk':
      disks.set(request.disk.diskId, untouched(request.disk))
      break
    case 'create-vm':
    case 'restore-header':
    case 'delete-vm':
      break
  }
  return disks
}

function untouched(disk: DiskAuthority): ExpectedDisk {
  const { number, format, policy, encryption, device, virtualBytes } = disk
  return { number, format, policy, keys: encryption?.keys ?? null, device, virtualBytes, layer: disk }
}

function newDisk(request: Extract<OperationRequest, { kind: 'add-disk' | 'import-disk' | 'import-volume' }>) {
  const { number, format, policy } = request
  const thin = request.kind === 'import-volume' && request.mode === 'import' && request.thin === true
  return {
    number,
    format: thin ? ('qcow2' as const) : format,
    policy,
    keys: request.kind === 'import-disk' ? null : listOf(request.key),
    device: request.kind === 'add-disk' ? request.device : undefined,
    virtualBytes: request.kind === 'add-disk' ? request.virtualBytes : null,
    layer: null,
  }
}

function listOf(key: KeyReference | null): readonly KeyReference[] | null {
  return key === null ? null : [key]
}
