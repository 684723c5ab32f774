import type { System } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import { migrations } from '../../database/migrations.ts'
import type { Schema } from '../../database/schema.ts'
import { timeText, timeTextOrNull } from '../clock.ts'
import type { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'
import type { Backups } from './backups.ts'
import { readInstallation, settle } from './installation.ts'
import type { Readiness } from './readiness.ts'

/** What the system is built from. */
export interface SystemParts {
  readonly database: Kysely<Schema>
  readonly events: EventLog
  readonly backups: Backups
  readonly readiness: Readiness
  readonly version: string
  readonly caFingerprint256: string
  readonly startedAt: number
}

/** The control plane as its own users see it. */
export class SystemInfo {
  readonly #parts: SystemParts

  constructor(parts: SystemParts) {
    this.#parts = parts
  }

  async show(): Promise<System> {
    const { database, backups, readiness, version, caFingerprint256, startedAt } = this.#parts
    const row = await readInstallation(database)
    return {
      version,
      installationId: row.installation_id,
      epoch: row.epoch,
      caFingerprint256,
      schema: migrations.at(-1)?.name ?? 'none',
      startedAt: timeText(startedAt),
      restoredAt: timeTextOrNull(row.restored_at),
      restoredFrom: timeTextOrNull(row.restored_from),
      onHold: row.on_hold === 1,
      backup: await backups.schedule(),
      checks: await readiness.checks(),
    }
  }

  /** Throws `invalid` when there is nothing to settle. */
  async settle(principal: Principal): Promise<System> {
    await settle(this.#parts.events, principal)
    return this.show()
  }
}
