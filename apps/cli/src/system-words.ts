import type { BackupSchedule, System } from '@cryptvisor/control-plane-api'
import type { Paint } from './paint.ts'
import { formatTime } from './quantity.ts'
import { type Cell, sheet } from './table.ts'

/** The control plane itself, in full. */
export function systemSheet(system: System, paint: Paint): string {
  const head = sheet([
    ['version', system.version],
    ['installation', system.installationId],
    ['epoch', system.epoch],
    ['CA fingerprint', system.caFingerprint256],
    ['schema', system.schema],
    ['started', formatTime(system.startedAt)],
    ...(system.restoredAt === null
      ? []
      : ([
          ['restored', formatTime(system.restoredAt)],
          ['from backup of', system.restoredFrom === null ? null : formatTime(system.restoredFrom)],
          ['on hold', system.onHold ? paint('yellow', 'yes: no key is destroyed; see «system settle --help»') : 'no'],
        ] as const)),
    ...system.checks.map(
      ({ name, ok, text }) => [`check ${name}`, ok ? paint('green', 'ok') : paint('red', text ?? 'failed')] as const,
    ),
  ])
  return `${head}backups\n${scheduleSheet(system.backup, paint)}`
}

/** When backups are made, and how the last one went. */
export function scheduleSheet(schedule: BackupSchedule, paint: Paint): string {
  const { folder, intervalMinutes, keepCount, lastBackupAt, lastFailure } = schedule
  const entries: (readonly [string, Cell])[] = [
    ['  schedule', folder === null ? 'none' : `every ${intervalMinutes} minutes into ${folder}`],
    ...(keepCount === null ? [] : [['  kept', `the ${keepCount} newest`] as const]),
    ['  last backup', lastBackupAt === null ? paint('yellow', 'never') : formatTime(lastBackupAt)],
    ...(lastFailure === null ? [] : [['  last failure', paint('red', lastFailure)] as const]),
  ]
  return sheet(entries)
}
