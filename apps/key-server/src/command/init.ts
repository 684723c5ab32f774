import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { Barrier, createRootKeyFile } from '@cryptvisor/key-store'
import { readCertificate } from '@cryptvisor/pki'
import { openDatabase } from '@cryptvisor/sqlite'
import { writeConfig } from '../config.ts'
import { checkRootKeyPlace, dataFolder, defaultRootKeyFile } from '../data-folder.ts'
import { migrations } from '../database/migrations.ts'
import type { Schema } from '../database/schema.ts'
import { SqlPhysical } from '../database/sql-physical.ts'
import { isHostName } from '../host-name.ts'
import { KeyServerError } from '../key-server-error.ts'
import { makeFolder } from '../new-folder.ts'
import { opened } from '../opened.ts'
import { writeNewFile } from '../write-file.ts'

/** How long the first administrator's certificate lives. */
const adminValidDays = 397

export interface InitOptions {
  readonly folder: string
  /** Beside the data folder when it is not given. */
  readonly rootKeyFile: string | undefined
  readonly hostNames: readonly string[]
  /** The first host name when that is an address, else loopback, when it is not given. */
  readonly listen: string | undefined
  readonly kmipPort: number
  readonly adminPort: number
}

/**
 * Makes a key server: root key, database, CA, its own certificate and that of an administrator; `config.json` last.
 * Throws `already-set-up`, and replaces nothing that is there.
 */
export async function init(options: InitOptions, now: () => Date): Promise<void> {
  const folder = dataFolder(options.folder)
  const rootKeyFile = resolve(options.rootKeyFile ?? defaultRootKeyFile(folder))
  const [first] = options.hostNames
  if (first === undefined) throw new KeyServerError('bad-usage', '--host-name: at least one is needed')
  for (const name of options.hostNames) checkHost('--host-name', name)
  if (options.listen !== undefined) checkHost('--listen', options.listen)
  checkRootKeyPlace(rootKeyFile, folder)
  if (existsSync(folder.config)) {
    throw new KeyServerError('already-set-up', `${folder.path} holds a key server already: choose another folder`)
  }
  if (existsSync(folder.database)) {
    throw new KeyServerError(
      'already-set-up',
      `${folder.path} has a database and no config.json: bring that back, or choose another folder if init was cut short`,
    )
  }
  await makeFolder(folder.path)
  using rootKey = await createRootKeyFile(rootKeyFile)
  const db = await openDatabase<Schema>(folder.database, migrations)
  await using data = opened(folder, db, await Barrier.initialize(new SqlPhysical(db), rootKey), now)
  const authority = await data.identities.createAuthority()
  await data.identities.issueServer(authority, options.hostNames)
  using admin = await authority.issue({ commonName: 'administrator', usages: ['client'], validDays: adminValidDays })
  await data.register.add('administrator', 'administrator', readCertificate(admin.certificate))
  await writeNewFile(folder.admin, admin.certificate)
  await writeNewFile(folder.adminKey, admin.privateKey)
  const address = options.listen ?? (isIP(first) === 0 ? '127.0.0.1' : first)
  await writeConfig(folder.config, {
    version: 1,
    hostNames: [...options.hostNames],
    kmip: { address, port: options.kmipPort },
    admin: { address, port: options.adminPort },
    rootKeyFile,
    legacySuites: false,
    logLevel: 'info',
  })
}

function checkHost(option: string, name: string): void {
  if (isHostName(name)) return
  throw new KeyServerError('bad-usage', `${option}: ${JSON.stringify(name)} is no address and no host name`)
}
