import type { Disk, Vm } from '@cryptvisor/control-plane-api'
import { stateCell } from './compliance-words.ts'
import { keyName } from './key-name.ts'
import type { Paint } from './paint.ts'
import { formatSize, formatTime } from './quantity.ts'
import { type Cell, sheet, table } from './table.ts'

/** VMs, one a line. */
export function vmTable(vms: readonly Vm[], paint: Paint): string {
  return table(
    ['NAME', 'FOLDER', 'HOST', 'POWER', 'ENCRYPTION', 'LOCK', 'DISKS', 'SIZE', 'TASK'],
    vms.map((vm) => [
      vm.name,
      vm.folder,
      vm.host,
      powerCell(vm, paint),
      encryptionCell(vm, paint),
      lockCell(vm, paint),
      vm.disks.length,
      formatSize(vm.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)),
      vm.task,
    ]),
  )
}

/** VMs that do not open, one a line, with the reason. */
export function lockedTable(vms: readonly Vm[], paint: Paint): string {
  return table(
    ['NAME', 'HOST', 'LOCK', 'CAUSE', 'SINCE', 'REASON'],
    vms.map((vm) => [
      vm.name,
      vm.host,
      lockCell(vm, paint),
      vm.lock.cause,
      vm.lock.since === null ? null : formatTime(vm.lock.since),
      vm.lock.text,
    ]),
  )
}

/** One VM in full. */
export function vmSheet(vm: Vm, paint: Paint): string {
  const head = sheet([
    ['name', vm.name],
    ['ID', vm.id],
    ['folder', vm.folder],
    ['host', vm.host],
    ['cluster', vm.cluster],
    ['datastore', vm.datastore],
    ['path', vm.path],
    ...powerEntries(vm, paint),
    ['encryption', encryptionCell(vm, paint)],
    ['lock', lockCell(vm, paint)],
    ...(vm.lock.cause === null ? [] : [['cause', vm.lock.cause] as const]),
    ...(vm.lock.since === null ? [] : [['since', formatTime(vm.lock.since)] as const]),
    ...(vm.lock.text === null ? [] : [['reason', vm.lock.text] as const]),
    ...vm.lock.missingKeys.map((key) => ['missing key', keyName(key)] as const),
    ...(vm.compliance === null ? [] : [['compliance', stateCell(vm.compliance.state, paint)] as const]),
    ...(vm.compliance?.reasons ?? []).map((text) => ['because', text] as const),
    ...(vm.task === null ? [] : [['task', vm.task] as const]),
  ])
  const home = `VM Home\n${sheet(partEntries(vm.home, paint))}`
  const disks = vm.disks.map(
    (disk) =>
      `disk ${disk.number}: ${formatSize(disk.sizeBytes)}, ${disk.format}\n${sheet([
        ...partEntries(disk, paint),
        ['  LUKS UUID', disk.luksUuid],
        ['  path', disk.path],
      ])}`,
  )
  return [head, home, ...disks].join('\n')
}

function partEntries(part: Pick<Disk, 'policy' | 'encrypted' | 'key'>, paint: Paint): (readonly [string, Cell])[] {
  return [
    ['  policy', part.policy],
    ['  encrypted', part.encrypted ? paint('green', 'yes') : 'no'],
    ['  key', keyName(part.key)],
  ]
}

function powerEntries(vm: Vm, paint: Paint): (readonly [string, Cell])[] {
  const { since, reason, acceleration, qemu } = vm.power
  return [
    ['power', powerCell(vm, paint)],
    ...(since === null ? [] : [['  since', formatTime(since)] as const]),
    ...(reason === null ? [] : [['  reason', reason] as const]),
    ...(qemu === null ? [] : [['  QEMU', `${qemu}, ${acceleration === 'tcg' ? 'emulated' : 'KVM'}`] as const]),
  ]
}

function powerCell({ power: { state } }: Vm, paint: Paint): Cell {
  if (state === 'off') return state
  if (state === 'running') return paint('green', state)
  return paint(state === 'failed' ? 'red' : 'yellow', state)
}

function encryptionCell({ encryption }: Vm, paint: Paint): Cell {
  return encryption === 'plain' ? encryption : paint(encryption === 'encrypted' ? 'green' : 'yellow', encryption)
}

function lockCell({ lock: { state } }: Vm, paint: Paint): Cell {
  return state === 'unlocked' ? state : paint(state === 'locked' ? 'red' : 'yellow', state)
}
