import { existsSync } from 'node:fs'
import { chmod, mkdir, open, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CreateUser } from '@cryptvisor/control-plane-api'
import { Barrier, createRootKeyFile } from '@cryptvisor/key-store'
import { shapeCheck } from '@cryptvisor/rest'
import { auditedEvents } from './app/audit/audited-events.ts'
import { Certificates } from './app/certificates.ts'
import type { Clock } from './app/clock.ts'
import { adminRole } from './app/permissions/last-administrator.ts'
import { Users } from './app/users.ts'
import { type Config, configPath, defaultKmip, writeConfig } from './config.ts'
import { openControlPlaneDatabase } from './database/open.ts'
import { SealedTable } from './database/sealed-table.ts'
import { freePort } from './free-port.ts'
import { isWithin, placesIn } from './places.ts'
import { SetUpError } from './set-up-error.ts'

export interface InitializeOptions {
  readonly folder: string
  readonly rootKeyFile?: string | undefined
  readonly adminUser: string
  readonly adminPassword: string
  /** Name or address by which users and hosts reach us. */
  readonly host: string
  readonly listenAddress?: string | undefined
  /** Free ones are chosen, and kept, when they are left out. */
  readonly port?: number | undefined
  readonly hostsPort?: number | undefined
  readonly labels?: Config['labels'] | undefined
}

const checkUser = shapeCheck(CreateUser, 'user')

/**
 * Sets a data folder up: root key, database, authority, administrator, and last the configuration. What was made is
 * removed again when it fails. Throws `SetUpError`, `KeyStoreError`, and what the file system says.
 */
export async function initialize(options: InitializeOptions, clock: Clock): Promise<Config> {
  const places = placesIn(options.folder)
  const rootKeyFile = resolve(options.rootKeyFile ?? places.defaultRootKeyFile)
  checkAdministrator(options.adminUser, options.adminPassword)
  checkIsNew(places, rootKeyFile)
  if (isWithin(rootKeyFile, places.folder)) {
    throw new SetUpError(
      'bad-place',
      `--root-key-file: ${rootKeyFile} lies with the data that it protects: name a place outside`,
    )
  }
  await mkdir(places.folder, { recursive: true, mode: 0o700 })
  await chmod(places.folder, 0o700)
  const config = await chooseConfig(options, rootKeyFile)
  using rootKey = await createRootKeyFile(rootKeyFile)
  try {
    const database = await openControlPlaneDatabase(places.database)
    try {
      using barrier = await Barrier.initialize(new SealedTable(database), rootKey)
      const certificates = await Certificates.create(database, barrier, clock)
      await writeCa(places.ca, certificates.ca)
      const users = new Users(database, await auditedEvents(database, barrier, clock), clock)
      await users.setAdministrator(options.adminUser, options.adminPassword)
    } finally {
      await database.destroy()
    }
    await writeConfig(places.folder, config)
    return config
  } catch (error) {
    // Nothing but what was made just now is under this root key. What cannot be removed does not hide the cause.
    const made = [...['', '-wal', '-shm'].map((end) => places.database + end), places.ca, rootKeyFile]
    await Promise.allSettled(made.map((path) => rm(path, { force: true })))
    throw error
  }
}

/**
 * Throws `already-set-up`. The configuration is written last, so a database without one is what a set-up left that was
 * cut off, or what remains of a control plane whose configuration is lost; only whoever runs it knows which.
 */
export function checkIsNew(places: ReturnType<typeof placesIn>, rootKeyFile: string): void {
  const { folder, database } = places
  if (existsSync(configPath(folder))) {
    throw new SetUpError('already-set-up', `${configPath(folder)} exists: name a folder without a control plane`)
  }
  if (!existsSync(database)) return
  throw new SetUpError(
    'already-set-up',
    `${database} exists without a config.json. If an init was cut off here and nothing ever ran in it, remove ${folder} and ${rootKeyFile}, and run init again; if a control plane did run in it, bring its config.json back and remove nothing`,
  )
}

/** Throws `bad-password`, naming what is wrong, never what it is; also for the user's name. */
export function checkAdministrator(name: string, password: string): void {
  const problem = checkUser({ name, password, role: adminRole })
  if (problem !== null) throw new SetUpError('bad-password', `the administrator’s ${problem.message}`)
}

async function chooseConfig(options: InitializeOptions, rootKeyFile: string): Promise<Config> {
  const { host, listenAddress, labels } = options
  const address = listenAddress ?? host
  const port = options.port ?? (await freePort(address))
  let hostsPort = options.hostsPort ?? (await freePort(address))
  while (hostsPort === port && options.hostsPort === undefined) hostsPort = await freePort(address)
  if (hostsPort === port) throw new SetUpError('usage', '--hosts-port: expected another port than --port')
  return {
    version: 1,
    host,
    ...(listenAddress === undefined ? {} : { listenAddress }),
    port,
    hostsPort,
    rootKeyFile,
    labels: labels ?? 'cryptvisor',
    kmip: defaultKmip,
    logLevel: 'info',
  }
}

async function writeCa(path: string, certificate: string): Promise<void> {
  await using file = await open(path, 'w', 0o644)
  await file.writeFile(certificate)
  await file.sync()
}
