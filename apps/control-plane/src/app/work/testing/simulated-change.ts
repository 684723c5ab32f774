import { randomUUID } from 'node:crypto'
import type {
  DiskAuthority,
  EncryptionAuthority,
  KeyReference,
  OperationRequest,
  VmAuthority,
} from '@cryptvisor/host-agent-api'
import { keysOf } from '../vms/vm-store.ts'
import { type SimulatedDatastore, wrapped } from './simulated-datastore.ts'

/** What a VM is after an operation. */
export function afterOperation(datastore: SimulatedDatastore, asked: OperationRequest): VmAuthority {
  const { vm } = asked
  const generation = vm.generation + 1
  switch (asked.kind) {
    case 'create-vm':
      return { ...vm, generation, encryption: asked.key === null ? null : wrapped(asked.key, null) }
    case 'add-disk':
    case 'import-disk':
    case 'import-volume':
      return { ...vm, generation, disks: [...vm.disks, newDisk(datastore, asked)] }
    case 'encrypt':
    case 'decrypt': {
      const home = asked.home === null ? {} : { policy: asked.home.policy, encryption: homeKey(asked) }
      const keys = asked.kind === 'encrypt' ? new Map(asked.disks.map(({ diskId, key }) => [diskId, key])) : null
      const disks = vm.disks.map((disk) => {
        const chosen = asked.disks.find(({ diskId }) => diskId === disk.diskId)
        if (chosen === undefined) return disk
        const key = keys?.get(disk.diskId)
        const encryption = key === undefined ? null : wrapped(key, randomUUID())
        const format = 'thin' in chosen && chosen.thin === true ? ('qcow2' as const) : disk.format
        return { ...disk, layerId: datastore.newLayerId(), policy: chosen.policy, encryption, format }
      })
      return { ...vm, generation, ...home, disks }
    }
    case 'shallow-rekey':
    case 'deep-rekey':
      return { ...rekeyed(datastore, asked), generation }
    case 'change-policies':
      return {
        ...vm,
        ...(asked.home === null ? {} : { policy: asked.home.policy }),
        generation,
        disks: vm.disks.map((disk) => ({
          ...disk,
          policy: asked.disks.find(({ diskId }) => diskId === disk.diskId)?.policy ?? disk.policy,
        })),
      }
    case 'detach-disk':
      return { ...vm, generation, disks: vm.disks.filter(({ diskId }) => diskId !== asked.diskId) }
    case 'attach-disk':
      return { ...vm, generation, disks: [...vm.disks, asked.disk] }
    case 'clone-vm':
      return { ...cloned(datastore, asked), generation }
    case 'restore-header':
      return { ...vm, generation }
    case 'delete-vm':
      throw new Error('nothing comes after')
  }
}

function newDisk(
  datastore: SimulatedDatastore,
  asked: Extract<OperationRequest, { kind: 'add-disk' | 'import-disk' | 'import-volume' }>,
): DiskAuthority {
  const { diskId, number, policy } = asked
  const virtualBytes =
    asked.kind === 'add-disk'
      ? asked.virtualBytes
      : asked.kind === 'import-disk'
        ? asked.payloadBytes
        : asked.contentBytes
  const key = asked.kind === 'import-disk' ? null : asked.key
  const encryption = key === null ? null : wrapped(key, randomUUID())
  const format = asked.kind === 'import-volume' && asked.thin === true ? 'qcow2' : asked.format
  return {
    ...{ diskId, number, layerId: datastore.newLayerId(), format, payloadBytes: virtualBytes, virtualBytes },
    policy,
    encryption,
    ...(asked.kind === 'add-disk' && asked.device !== undefined ? { device: asked.device } : {}),
  }
}

function rekeyed(
  datastore: SimulatedDatastore,
  asked: Extract<OperationRequest, { kind: 'shallow-rekey' | 'deep-rekey' }>,
): VmAuthority {
  const { vm, home } = asked
  const again = (encryption: EncryptionAuthority | null, key: KeyReference) =>
    asked.kind === 'deep-rekey'
      ? wrapped(key, encryption?.luksUuid == null ? null : randomUUID())
      : {
          keys: [key],
          generation: (encryption?.generation ?? 0) + 2,
          luksUuid: encryption?.luksUuid ?? null,
        }
  return {
    ...vm,
    encryption: home === null ? vm.encryption : again(vm.encryption, home.key),
    disks: vm.disks.map((disk) => {
      const chosen = asked.disks.find(({ diskId }) => diskId === disk.diskId)
      if (chosen === undefined) return disk
      const layerId = asked.kind === 'deep-rekey' ? datastore.newLayerId() : disk.layerId
      return { ...disk, layerId, encryption: again(disk.encryption, chosen.key) }
    }),
  }
}

function cloned(datastore: SimulatedDatastore, asked: Extract<OperationRequest, { kind: 'clone-vm' }>): VmAuthority {
  return {
    ...asked.vm,
    encryption: asked.home.key === null ? null : wrapped(asked.home.key, null),
    disks: asked.disks.flatMap(({ sourceDiskId, diskId, key }) =>
      asked.source.disks
        .filter((disk) => disk.diskId === sourceDiskId)
        .map(({ device: _device, ...disk }) => ({
          ...disk,
          diskId,
          layerId: datastore.newLayerId(),
          encryption: key === null ? null : wrapped(key, randomUUID()),
        })),
    ),
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
    case 'import-volume':
      return [...home, ...(asked.key === null ? [] : [asked.key])]
    case 'shallow-rekey':
    case 'deep-rekey':
      return [
        ...home,
        ...keysOfDisks(asked.vm, asked.disks),
        ...(asked.home === null ? [] : [asked.home.key]),
        ...asked.disks.map(({ key }) => key),
      ]
    case 'clone-vm':
      return [
        ...keysOf(asked.source),
        ...[asked.home, ...asked.disks].flatMap(({ key }) => (key === null ? [] : [key])),
      ]
    case 'encrypt':
      return [...home, ...(asked.home === null ? [] : [asked.home.key]), ...asked.disks.map(({ key }) => key)]
    case 'decrypt':
      return [...home, ...keysOfDisks(asked.vm, asked.disks)]
    case 'restore-header':
      return keysOfDisks(asked.vm, [asked])
    case 'attach-disk':
      return [...home, ...(asked.disk.encryption?.keys ?? [])]
    case 'import-disk':
    case 'change-policies':
    case 'detach-disk':
    case 'delete-vm':
      return []
  }
}

function keysOfDisks(vm: VmAuthority, disks: readonly { readonly diskId: string }[]): KeyReference[] {
  const chosen = disks.map(({ diskId }) => diskId)
  return vm.disks.flatMap(({ diskId, encryption }) => (chosen.includes(diskId) ? (encryption?.keys ?? []) : []))
}
