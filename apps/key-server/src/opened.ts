import { Barrier, readRootKeyFile } from '@cryptvisor/key-store'
import { openDatabase } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import type { Config } from './config.ts'
import { checkRootKeyPlace, type DataFolder } from './data-folder.ts'
import { CertificateRegister } from './database/certificate-register.ts'
import { migrations } from './database/migrations.ts'
import type { Schema } from './database/schema.ts'
import { SqlPhysical } from './database/sql-physical.ts'
import { IdentityFiles } from './identity-files.ts'

/** The data folder with its database and keyring open. */
export interface Opened extends AsyncDisposable {
  readonly db: Kysely<Schema>
  readonly barrier: Barrier
  readonly register: CertificateRegister
  readonly identities: IdentityFiles
}

/** Opens what `init` made. Throws what the database, the root key file and the keyring throw. */
export async function openData(folder: DataFolder, config: Config, now: () => Date): Promise<Opened> {
  checkRootKeyPlace(config.rootKeyFile, folder)
  using rootKey = await readRootKeyFile(config.rootKeyFile)
  const db = await openDatabase<Schema>(folder.database, migrations)
  try {
    return opened(folder, db, await Barrier.open(new SqlPhysical(db), rootKey), now)
  } catch (error) {
    await db.destroy()
    throw error
  }
}

/** Puts together what is open. */
export function opened(folder: DataFolder, db: Kysely<Schema>, barrier: Barrier, now: () => Date): Opened {
  return {
    db,
    barrier,
    register: new CertificateRegister(db, now),
    identities: new IdentityFiles(folder, barrier, now),
    [Symbol.asyncDispose]: async () => {
      barrier[Symbol.dispose]()
      await db.destroy()
    },
  }
}
