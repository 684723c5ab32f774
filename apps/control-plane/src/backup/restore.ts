import { chmod, mkdir, open, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Barrier, readRootKeyFile } from '@cryptvisor/key-store'
import { auditedEvents } from '../app/audit/audited-events.ts'
import { Certificates } from '../app/certificates.ts'
import type { EventLog } from '../app/events.ts'
import { type Config, parseConfig, writeConfig } from '../config.ts'
import { schemaSteps } from '../database/before-migration.ts'
import { migrations } from '../database/migrations.ts'
import { openControlPlaneDatabase } from '../database/open.ts'
import { SealedTable } from '../database/sealed-table.ts'
import { checkIsNew } from '../initialize.ts'
import { isWithin, placesIn } from '../places.ts'
import { SetUpError } from '../set-up-error.ts'
import { type BackupManifest, badBackup } from './manifest.ts'
import { verifyBackup } from './verify-backup.ts'

/** Where a control plane is restored to. What is left out is as it was in the backup. */
export interface RestoreOptions {
  readonly folder: string
  readonly backup: string
  readonly rootKeyFile: string
  readonly host?: string | undefined
  readonly listenAddress?: string | undefined
  readonly port?: number | undefined
  readonly hostsPort?: number | undefined
}

/** What was restored. */
export interface Restored {
  readonly manifest: BackupManifest
  readonly config: Config
  readonly epoch: number
}

/**
 * Makes a control plane out of a backup and its root key, in a folder that has none. Its identity, providers and authority are
 * those of the backup; sessions, API tokens and enrolment tokens are over, its epoch is a new one, and no key is destroyed or
 * taken from a host before somebody says that hosts and datastores were looked at. What was made is removed again when it
 * fails. Throws `SetUpError`, `KeyStoreError`, `SqliteError`, and what the file system says.
 */
export async function restoreControlPlane(options: RestoreOptions, clock: () => number): Promise<Restored> {
  const places = placesIn(options.folder)
  const rootKeyFile = resolve(options.rootKeyFile)
  checkIsNew(places, rootKeyFile)
  if (isWithin(rootKeyFile, places.folder)) {
    throw new SetUpError(
      'bad-place',
      `--root-key-file: ${rootKeyFile} lies with the data that it protects: move it out`,
    )
  }
  using rootKey = await readRootKeyFile(rootKeyFile)
  await mkdir(places.folder, { recursive: true, mode: 0o700 })
  await chmod(places.folder, 0o700)
  try {
    const { manifest, config, ca } = await unpack(options.backup, places.database)
    const chosen = chooseConfig(parseConfig(config.toString('utf8'), 'config.json of the backup'), options, rootKeyFile)
    checkSchema(places.database)
    const database = await openControlPlaneDatabase(places.database, clock)
    try {
      using barrier = await Barrier.open(new SealedTable(database), rootKey)
      // What ties the backup to the root key: the key of the authority that signed it opens under it.
      await Certificates.load(database, barrier, ca, clock)
      const events = await auditedEvents(database, barrier, clock)
      const epoch = await beginAnew(events, manifest, clock)
      await writeFileSynced(places.ca, Buffer.from(ca), 0o644)
      await writeConfig(places.folder, chosen)
      return { manifest, config: chosen, epoch }
    } finally {
      await database.destroy()
    }
  } catch (error) {
    const made = [...['', '-wal', '-shm'].map((end) => places.database + end), places.ca]
    await Promise.allSettled(made.map((path) => rm(path, { force: true })))
    throw error
  }
}

async function unpack(backup: string, target: string): Promise<Awaited<ReturnType<typeof verifyBackup>>> {
  if (!(await stat(backup)).isFile()) throw badBackup(`${backup} is no file`)
  await using file = await open(target, 'wx', 0o600)
  const verified = await verifyBackup(backup, null, file)
  await file.sync()
  return verified
}

/** Throws `bad-backup` for one of a newer program. */
function checkSchema(path: string): void {
  const steps = schemaSteps(path)
  const unknown = steps.find((name, index) => migrations[index]?.name !== name)
  if (unknown === undefined) return
  throw new SetUpError(
    'bad-backup',
    `the backup is of a newer or another program: it has the schema step «${unknown}», which this one does not know. Restore it with the program that made it, or a newer one`,
  )
}

function chooseConfig(was: Config, options: RestoreOptions, rootKeyFile: string): Config {
  const { listenAddress: listenedAt, ...rest } = was
  const host = options.host ?? was.host
  // At another address it does not listen where it listened before, unless it is said so.
  const listenAddress = options.listenAddress ?? (options.host === undefined ? listenedAt : undefined)
  const [port, hostsPort] = [options.port ?? was.port, options.hostsPort ?? was.hostsPort]
  if (port === hostsPort) throw new SetUpError('usage', '--hosts-port: expected another port than that for users')
  return { ...rest, host, ...(listenAddress === undefined ? {} : { listenAddress }), port, hostsPort, rootKeyFile }
}

/** Ends what must not go on in two places, and says what happened. Gives the new epoch. */
async function beginAnew(events: EventLog, manifest: BackupManifest, clock: () => number): Promise<number> {
  const now = clock()
  const madeAt = Date.parse(manifest.createdAt)
  return events.transaction(async (transaction, record) => {
    const { epoch: before } = await transaction.selectFrom('installation').select('epoch').executeTakeFirstOrThrow()
    const epoch = Math.max(before + 1, now)
    await transaction
      .updateTable('installation')
      .set({ epoch, restored_at: now, restored_from: madeAt, on_hold: 1 })
      .execute()
    await transaction.deleteFrom('bearer').execute()
    await transaction.deleteFrom('enrolment_token').execute()
    await transaction.deleteFrom('login_failure').execute()
    await transaction.updateTable('backup_schedule').set({ last_success_at: madeAt, last_failure: null }).execute()
    const { hosts, vms, keys, openTasks } = manifest.counts
    await record({
      type: 'system.restored',
      text: `This control plane was restored from a backup of ${manifest.createdAt} (${hosts} hosts, ${vms} VMs, ${keys} keys, ${openTasks} open tasks). What happened since then is not known here: VMs that were made, rekeyed or deleted, hosts that were enrolled or removed, users and rights. Until you say that all was looked at («cryptvisor system settle»), no key is destroyed or taken from a host. Begin with «cryptvisor vm reconcile»`,
    })
    return epoch
  })
}

async function writeFileSynced(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  await using file = await open(path, 'w', mode)
  await file.writeFile(bytes)
  await file.sync()
}
