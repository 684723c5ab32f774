import { join } from 'node:path'
import type { Disk, Vm } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { DiskRow } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { recordedCause } from './lock-cause.ts'
import { parseEncryption, type VmRecord } from './vm-store.ts'

/** A VM as users see it. */
export function vmView(vm: VmRecord): Vm {
  const { row } = vm
  const home = parseEncryption(row.encryption)
  const disks = vm.disks.map((disk) => diskView(vm, disk))
  return {
    id: row.id,
    name: row.name,
    folder: vm.folderName,
    host: vm.hostName,
    cluster: vm.clusterName,
    datastore: vm.datastoreName,
    path: join(vm.datastorePath, row.folder),
    encryption: home === null ? 'plain' : disks.every((disk) => disk.encrypted) ? 'encrypted' : 'partial',
    home: { policy: vm.policy, encrypted: home !== null, key: home?.keys.at(-1) ?? null },
    disks,
    lock: {
      state: row.lock_state,
      text: row.lock_text,
      // Written by us from a list of key references.
      missingKeys: JSON.parse(row.lock_missing_keys) as KeyReference[],
      cause: recordedCause(row),
      since: row.lock_state === 'unlocked' ? null : timeTextOrNull(row.lock_since),
    },
    power: powerView(vm.machine),
    compliance: vm.compliance,
    task: row.task_id,
  }
}

function powerView(machine: VmRecord['machine']): Vm['power'] {
  if (machine === null) return { state: 'off', since: null, reason: null, acceleration: null, qemu: null }
  const { state, since, reason } = machine
  const isOff = state === 'off'
  return {
    state,
    since: timeText(since),
    reason,
    acceleration: isOff ? null : machine.acceleration,
    qemu: isOff ? null : machine.qemu,
  }
}

function diskView(vm: VmRecord, disk: VmRecord['disks'][number]): Disk {
  const encryption = parseEncryption(disk.encryption)
  return {
    id: disk.id,
    number: disk.number,
    format: disk.format,
    sizeBytes: disk.virtual_bytes,
    payloadBytes: disk.payload_bytes,
    policy: disk.policy,
    encrypted: encryption !== null,
    key: encryption?.keys.at(-1) ?? null,
    layerId: disk.layer_id,
    luksUuid: encryption?.luksUuid ?? null,
    path: disk.device ?? join(vm.datastorePath, vm.row.folder, layerFile(disk, encryption !== null)),
    device: disk.device,
  }
}

/** The name of a layer's file. DESIGN.md, section 3: encrypted layers are `.luks` whatever is inside, plain ones are named by their format. */
export function layerFile(disk: Pick<DiskRow, 'layer_id' | 'format'>, encrypted: boolean): string {
  return `${disk.layer_id}.${encrypted ? 'luks' : disk.format}`
}
