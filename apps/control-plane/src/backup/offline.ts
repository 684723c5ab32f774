import { readFile, stat } from 'node:fs/promises'
import { Barrier, readRootKeyFile } from '@cryptvisor/key-store'
import { Certificates } from '../app/certificates.ts'
import { readConfig } from '../config.ts'
import { schemaSteps } from '../database/before-migration.ts'
import { migrations } from '../database/migrations.ts'
import { openControlPlaneDatabase } from '../database/open.ts'
import { SealedTable } from '../database/sealed-table.ts'
import { placesIn } from '../places.ts'
import { SetUpError } from '../set-up-error.ts'
import { prepareBackup, writeBackup } from './make-backup.ts'
import type { BackupManifest } from './manifest.ts'

/**
 * Makes a backup of the data folder of a control plane, running or not, into the new file `path`. Throws `SetUpError`,
 * `KeyStoreError`, and what the file system says.
 */
export async function backUpFolder(
  folder: string,
  path: string,
  productVersion: string,
  clock: () => number,
): Promise<{ manifest: BackupManifest; sizeBytes: number }> {
  const config = await readConfig(folder)
  const places = placesIn(folder)
  requireOwnSchema(places.database)
  const ca = await readFile(places.ca, 'utf8')
  const database = await openControlPlaneDatabase(places.database, clock)
  try {
    using rootKey = await readRootKeyFile(config.rootKeyFile)
    using barrier = await Barrier.open(new SealedTable(database), rootKey)
    const certificates = await Certificates.load(database, barrier, ca, clock)
    const sign = (bytes: Uint8Array) => certificates.sign(bytes)
    await using backup = await prepareBackup({ folder, productVersion, clock, sign, ca: certificates.ca })
    await writeBackup(backup, path)
    await database.updateTable('backup_schedule').set({ last_success_at: clock() }).execute()
    return { manifest: backup.manifest, sizeBytes: (await stat(path)).size }
  } finally {
    await database.destroy()
  }
}

/** A backup must not migrate anything. */
function requireOwnSchema(path: string): void {
  const steps = schemaSteps(path)
  if (steps.length === migrations.length) return
  throw new SetUpError(
    'bad-config',
    `${path} has the schema «${steps.at(-1) ?? 'none'}», this program's is «${migrations.at(-1)?.name ?? 'none'}»: make the backup with the program that the control plane runs, or start this one once («serve» copies the database before it migrates it)`,
  )
}
