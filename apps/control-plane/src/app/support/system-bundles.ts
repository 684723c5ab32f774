import { stat, statfs } from 'node:fs/promises'
import { availableParallelism, freemem, loadavg, release, totalmem, uptime } from 'node:os'
import type { SupportBundlePlan, TakeSystemBundle } from '@cryptvisor/control-plane-api'
import {
  type BundlePart,
  defaultBundleLimits,
  documentPart,
  type LogRing,
  Redactor,
  writeBundle,
} from '@cryptvisor/support-bundle'
import type { Kysely } from 'kysely'
import { type Config, readConfig } from '../../config.ts'
import type { Schema } from '../../database/schema.ts'
import { placesIn } from '../../places.ts'
import type { AuditLog } from '../audit/audit-log.ts'
import type { CertificateInventory } from '../certificate-inventory.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { Events, Principal } from '../ports.ts'
import type { Metrics } from '../system/metrics.ts'
import type { SystemInfo } from '../system/system.ts'
import { sealingWords } from './bundle-period.ts'
import { checkDatabase } from './database-check.ts'
import {
  alarmRecords,
  badKeyRecords,
  eventRecords,
  hostRecords,
  namedKeyIds,
  notificationRecords,
  providerRecords,
  taskRecords,
} from './system-records.ts'

/** Where a bundle gets what it says. */
export interface SystemBundleSources {
  readonly database: Kysely<Schema>
  readonly events: Events
  readonly system: SystemInfo
  readonly metrics: Metrics
  readonly audit: AuditLog
  readonly certificates: CertificateInventory
  readonly isConnected: (hostId: string) => boolean
  readonly log: LogRing
  /** The data folder. */
  readonly folder: string
  readonly version: string
  readonly clock: Clock
}

/** Support bundles of the control plane itself: one is made at a time. */
export class SystemBundles {
  readonly #sources: SystemBundleSources
  #isBusy = false

  constructor(sources: SystemBundleSources) {
    this.#sources = sources
  }

  /** What a bundle would have. */
  plan(): SupportBundlePlan {
    const { fileSizeMax, sizeMax } = defaultBundleLimits
    const files = this.#parts(new Redactor()).map(({ name, about }) => ({ name, about }))
    return { hostKey: null, files, fileSizeMax, sizeMax }
  }

  /**
   * A bundle, plain, as it is made; it is on record before its first byte goes out. Throws `too-busy`: whoever got one says when
   * it is over (`over`).
   */
  async take(principal: Principal, { sealing }: TakeSystemBundle): Promise<AsyncGenerator<Buffer>> {
    if (this.#isBusy) {
      throw new ControlPlaneError('too-busy', 'a support bundle of the control plane is being made: try again later')
    }
    this.#isBusy = true
    try {
      await this.#sources.events.record({
        type: 'support-bundle.taken',
        text: `${principal.name} takes a support bundle of the control plane: ${sealingWords[sealing]}`,
        user: principal.name,
      })
      return this.#write(principal)
    } catch (error) {
      this.#isBusy = false
      throw error
    }
  }

  /** A bundle was read, or given up: the next one can be made. */
  over(): void {
    this.#isBusy = false
  }

  async *#write(principal: Principal): AsyncGenerator<Buffer> {
    const { database, clock, version, system } = this.#sources
    const redactor = new Redactor()
    redactor.keep(...(await namedKeyIds(database)))
    const { installationId } = await system.show()
    const subject = {
      ...{ kind: 'control-plane', name: installationId, version },
      ...{ takenBy: principal.name, takenAt: clock() },
    }
    yield* writeBundle(subject, this.#parts(redactor), redactor)
  }

  #parts(redactor: Redactor): BundlePart[] {
    const { database, system, metrics, audit, certificates, isConnected, log, folder, clock } = this.#sources
    const rows = (name: string, about: string, read: () => Promise<readonly object[]>): BundlePart => ({
      name,
      about,
      lines: async function* () {
        yield* await read()
      },
    })
    return [
      documentPart('system.json', 'version, installation, schema, backups, what keeps it from working', async () => {
        const shown = await system.show()
        redactor.keep(shown.caFingerprint256)
        return shown
      }),
      documentPart('settings.json', 'the settings of config.json', async () => shownConfig(await readConfig(folder))),
      documentPart('machine.json', 'kernel, memory, room on the disk', () => machineFacts(folder)),
      {
        name: 'database.json',
        about: 'SQLite’s own check of the database, and how many rows each table has',
        async *lines(signal) {
          yield await checkDatabase(placesIn(folder).database, signal)
        },
      },
      documentPart('audit.json', 'the end of the audit chain, and whether it is whole', async () => {
        const check = await audit.check()
        redactor.keep(check.head?.hash, check.head?.signature, check.keyFingerprint)
        const { publicKey: _publicKey, ...shown } = check
        return shown
      }),
      rows('providers.jsonl', 'key providers with what their last probe found', () => providerRecords(database)),
      rows('certificates.jsonl', 'all certificates by their ends', () => certificates.list()),
      rows('hosts.jsonl', 'hosts and their states', () => hostRecords(database, isConnected)),
      rows('alarms.jsonl', 'alarms that are raised, and those cleared in the last week', () =>
        alarmRecords(database, clock()),
      ),
      rows('tasks.jsonl', 'tasks of the last week with their errors', () => taskRecords(database, clock())),
      rows('events.jsonl', 'events of the last week', async () => {
        const events = await eventRecords(database, clock())
        redactor.keep(...events.map(({ keyId }) => keyId))
        return events
      }),
      rows('bad-keys.jsonl', 'keys in use that could not be read back', () => badKeyRecords(database)),
      rows('notifications.jsonl', 'how the delivery of notifications goes', () => notificationRecords(database)),
      {
        name: 'metrics.txt',
        about: 'what Prometheus would read now',
        lines: async function* () {
          yield* (await metrics.read()).split('\n')
        },
      },
      {
        name: 'log.jsonl',
        about: 'the log since the start, the newest of it',
        lines: function* () {
          if (log.droppedCount > 0) yield { note: `${log.droppedCount} older lines are not kept in memory` }
          yield* log.lines
        },
      },
    ]
  }
}

/** Every setting by name: one that is added later is not shown before somebody thought of it. */
function shownConfig({
  version,
  host,
  listenAddress,
  port,
  hostsPort,
  rootKeyFile,
  labels,
  keyDestroyAfterDays,
  kmip,
  keyVerification,
  logLevel,
}: Config): object {
  const places = { host, listenAddress, port, hostsPort, rootKeyFile }
  return { version, ...places, labels, keyDestroyAfterDays, kmip, keyVerification, logLevel }
}

async function machineFacts(folder: string): Promise<object> {
  const { bavail, bsize, blocks } = await statfs(folder)
  const { size } = await stat(placesIn(folder).database)
  return {
    kernel: release(),
    uptimeSeconds: uptime(),
    processorCount: availableParallelism(),
    memory: { totalBytes: totalmem(), freeBytes: freemem(), loadAverage: loadavg() },
    dataFolder: { path: folder, sizeBytes: blocks * bsize, availableBytes: bavail * bsize },
    databaseSizeBytes: size,
    process: {
      node: process.version,
      openssl: process.versions.openssl,
      uptimeSeconds: process.uptime(),
      memory: process.memoryUsage(),
    },
  }
}
