import { randomUUID } from 'node:crypto'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { type SimulatedDatastore, wrapped } from './simulated-datastore.ts'

/** What a VM is after an operation. */
export function afterOperation(datastore: SimulatedDatastore, asked: OperationRequest): VmAuthority {
  const { vm } = asked
  const generation = vm.generation + 1
  switch (asked.kind) {
    case 'create-vm':
      return { ...vm, generation, encryption: asked.key === null ? null : wrapped(asked.key, null) }
    case 'add-disk':
    case 'import-disk': {
      const { diskId, number, format, policy } = asked
      const virtualBytes = asked.kind === 'add-disk' ? asked.virtualBytes : asked.payloadBytes
      const payloadBytes = virtualBytes
      const key = asked.kind === 'add-disk' ? asked.key : null
      const encryption = key === null ? null : wrapped(key, randomUUID())
      const layerId = datastore.newLayerId()
      const disk = { diskId, number, layerId, format, payloadBytes, virtualBytes, policy, encryption }
      return { ...vm, generation, disks: [...vm.disks, disk] }
    }
    case 'encrypt':
    case 'decrypt': {
      const home = asked.home === null ? {} : { policy: asked.home.policy, encryption: homeKey(asked) }
      const keys = asked.kind === 'encrypt' ? new Map(asked.disks.map(({ diskId, key }) => [diskId, key])) : null
      const disks = vm.disks.map((disk) => {
        const chosen = asked.disks.find(({ diskId }) => diskId === disk.diskId)
        if (chosen === undefined) return disk
        const key = keys?.get(disk.diskId)
        const encryption = key === undefined ? null : wrapped(key, randomUUID())
        return { ...disk, layerId: datastore.newLayerId(), policy: chosen.policy, encryption }
      })
      return { ...vm, generation, ...home, disks }
    }
    case 'delete-vm':
      throw new Error('nothing comes after')
  }
}

function homeKey(asked: Extract<OperationRequest, { kind: 'encrypt' | 'decrypt' }>) {
  return asked.kind === 'encrypt' && asked.home !== null ? wrapped(asked.home.key, null) : null
}

/** The key that is named `<provider>/<key ID>`. */
export function referenceOf(name: string): KeyReference {
  const slash = name.indexOf('/')
  return { provider: name.slice(0, slash), keyId: name.slice(slash + 1) }
}

/** Every KEK that is named in a request, apart from those of disks that it leaves alone. */
export function needsOf(asked: OperationRequest): KeyReference[] {
  const home = asked.vm.encryption?.keys ?? []
  switch (asked.kind) {
    case 'create-vm':
    case 'add-disk':
      return [...home, ...(asked.key === null ? [] : [asked.key])]
    case 'encrypt':
      return [...home, ...(asked.home === null ? [] : [asked.home.key]), ...asked.disks.map(({ key }) => key)]
    case 'decrypt': {
      const chosen = asked.disks.map(({ diskId }) => diskId)
      const disks = asked.vm.disks.filter(({ diskId }) => chosen.includes(diskId))
      return [...home, ...disks.flatMap(({ encryption }) => encryption?.keys ?? [])]
    }
    case 'import-disk':
    case 'delete-vm':
      return []
  }
}
