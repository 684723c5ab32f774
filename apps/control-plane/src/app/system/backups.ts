import { readdir, rm, stat } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import type { BackupSchedule, SetBackupSchedule } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import {
  type BackupParts,
  type PreparedBackup,
  prepareBackup,
  snapshotPrefix,
  writeBackup,
} from '../../backup/make-backup.ts'
import type { BackupScheduleRow } from '../../database/running-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { isWithin } from '../../places.ts'
import { timeText, timeTextOrNull } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import type { Log } from '../log.ts'
import type { Principal } from '../ports.ts'
import { backupFileName, removeOldBackups } from './backup-files.ts'

/** How often it is looked at whether a backup is due. */
const lookMs = 30_000

/** How long after a failure the next attempt is, at most. */
const retryMs = 900_000

/** Backups of the control plane while it runs: when somebody asks for one, and by themselves. One at a time. */
export class Backups {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #parts: BackupParts
  readonly #log: Log
  #isBusy = false

  constructor(database: Kysely<Schema>, events: EventLog, parts: BackupParts, log: Log) {
    this.#database = database
    this.#events = events
    this.#parts = parts
    this.#log = log
  }

  /** Takes a backup, to be read by whoever asked; it counts as made when it was read to its end (`made`). Throws `too-busy`. */
  async prepare(principal: Principal): Promise<PreparedBackup & { made(): Promise<void> }> {
    const turn = this.#begin()
    try {
      const backup = await prepareBackup(this.#parts)
      return {
        ...backup,
        content: () => backup.content(),
        made: () => this.#made(backup, principal.name, 'was read out'),
        [Symbol.asyncDispose]: async () => {
          turn[Symbol.dispose]()
          await backup[Symbol.asyncDispose]()
        },
      }
    } catch (error) {
      turn[Symbol.dispose]()
      throw error
    }
  }

  async schedule(): Promise<BackupSchedule> {
    return scheduleView(await this.#row())
  }

  /** Throws `invalid` for a folder that is not there, cannot be written, or lies with the data. */
  async setSchedule(
    { folder, intervalMinutes, keepCount }: SetBackupSchedule,
    principal: Principal,
  ): Promise<BackupSchedule> {
    await this.#checkFolder(folder)
    await this.#change(
      { folder, interval_ms: intervalMinutes * 60_000, keep_count: keepCount, last_failure: null },
      principal,
      `Backups of the control plane are made every ${intervalMinutes} minutes into ${folder}; the ${keepCount} newest stay`,
    )
    return this.schedule()
  }

  async clearSchedule(principal: Principal): Promise<void> {
    await this.#change(
      { folder: null, interval_ms: null, keep_count: null, last_failure: null },
      principal,
      'Backups of the control plane are not made by themselves any more',
    )
  }

  /** Makes backups when they are due, until it is disposed of; removes what a crash left of earlier ones. */
  async keepMaking(): Promise<AsyncDisposable> {
    for (const name of await readdir(this.#parts.folder)) {
      if (name.startsWith(snapshotPrefix)) await rm(join(this.#parts.folder, name), { recursive: true, force: true })
    }
    let running = Promise.resolve()
    const look = () => {
      running = running.then(() => this.makeIfDue())
    }
    const timer = setInterval(look, lookMs)
    timer.unref()
    look()
    return {
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer)
        await running
      },
    }
  }

  /** Makes the backup of the schedule if it is time; a failure is on record, told once, and tried again soon. Never throws. */
  async makeIfDue(): Promise<void> {
    try {
      const row = await this.#row()
      const { folder, keep_count } = row
      if (folder === null || keep_count === null || this.#isBusy || !isDue(row, this.#parts.clock())) return
      await this.#database.updateTable('backup_schedule').set({ last_attempt_at: this.#parts.clock() }).execute()
      try {
        await this.#make(folder, keep_count)
      } catch (error) {
        await this.#failed(row, error)
      }
    } catch (error) {
      this.#log.error({ err: error }, 'the schedule of backups could not be looked at')
    }
  }

  /** Throws `too-busy` while another backup is made or read. */
  #begin(): Disposable {
    if (this.#isBusy)
      throw new ControlPlaneError('too-busy', 'another backup is made just now: wait a moment, and try again')
    this.#isBusy = true
    return {
      [Symbol.dispose]: () => {
        this.#isBusy = false
      },
    }
  }

  async #make(folder: string, keepCount: number): Promise<void> {
    using _turn = this.#begin()
    await using backup = await prepareBackup(this.#parts)
    const { installationId, createdAt } = backup.manifest
    const path = join(folder, backupFileName(installationId, Date.parse(createdAt)))
    await rm(`${path}.part`, { force: true })
    await writeBackup(backup, path)
    await removeOldBackups(folder, installationId, keepCount)
    await this.#made(backup, null, `was written to ${path}`)
  }

  async #made({ manifest, sizeBytes }: PreparedBackup, user: string | null, what: string): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const values = { last_success_at: Date.parse(manifest.createdAt), last_failure: null }
      await transaction.updateTable('backup_schedule').set(values).execute()
      const text = `A backup of the control plane ${what}: ${sizeBytes} bytes, as of ${manifest.createdAt}. The root key is not in it`
      await record({ type: 'system.backup-made', user, text })
    })
  }

  async #failed(row: BackupScheduleRow, error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : 'unknown error'
    this.#log.error({ err: error }, 'a scheduled backup failed')
    await this.#events.transaction(async (transaction, record) => {
      await transaction.updateTable('backup_schedule').set({ last_failure: reason }).execute()
      if (row.last_failure !== null) return
      const last =
        row.last_success_at === null ? 'there is none yet' : `the last one is of ${timeText(row.last_success_at)}`
      await record({
        type: 'system.backup-failed',
        text: `The control plane could not be backed up to ${row.folder}: ${reason}. It is tried again; ${last}. Make room or mend the folder, see «system show»`,
      })
    })
  }

  async #change(values: Partial<BackupScheduleRow>, principal: Principal, text: string): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      await transaction.updateTable('backup_schedule').set(values).execute()
      await record({ type: 'system.backup-schedule-changed', user: principal.name, text })
    })
  }

  async #checkFolder(folder: string): Promise<void> {
    const refuse = (text: string) => new ControlPlaneError('invalid', `folder: ${text}`, { field: 'folder' })
    if (!isAbsolute(folder) || resolve(folder) !== folder) throw refuse('expected an absolute path without . and ..')
    if (isWithin(folder, this.#parts.folder)) {
      throw refuse(`${folder} lies in the data folder, and would be lost with it: name one on another disk`)
    }
    const found = await stat(folder).catch(() => null)
    if (found?.isDirectory() !== true) {
      throw refuse(`${folder} is no folder on the control plane's machine that it can see: make it, for its user alone`)
    }
  }

  async #row(): Promise<BackupScheduleRow> {
    return this.#database.selectFrom('backup_schedule').selectAll().executeTakeFirstOrThrow()
  }
}

/** Whether it is time for the schedule's next backup. */
export function isDue(
  { interval_ms, last_success_at, last_attempt_at, last_failure }: BackupScheduleRow,
  now: number,
): boolean {
  if (interval_ms === null) return false
  if (last_failure !== null && last_attempt_at !== null) return now - last_attempt_at >= Math.min(interval_ms, retryMs)
  // A clock that was set back makes it due, too: «the future» is no time of a backup.
  return last_success_at === null || last_success_at > now || now - last_success_at >= interval_ms
}

function scheduleView(row: BackupScheduleRow): BackupSchedule {
  return {
    folder: row.folder,
    intervalMinutes: row.interval_ms === null ? null : row.interval_ms / 60_000,
    keepCount: row.keep_count,
    lastBackupAt: timeTextOrNull(row.last_success_at),
    lastAttemptAt: timeTextOrNull(row.last_attempt_at),
    lastFailure: row.last_failure,
  }
}
