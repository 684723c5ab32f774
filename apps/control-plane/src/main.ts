import { parseArgs } from 'node:util'
import { Barrier, readRootKeyFile } from '@cryptvisor/key-store'
import { guardMemory, thisStart, unsafeStart } from '@cryptvisor/process-guard'
import { LogRing } from '@cryptvisor/support-bundle'
import { auditedEvents } from './app/audit/audited-events.ts'
import { Users } from './app/users.ts'
import { backUp, checkBackup, restore } from './backup/commands.ts'
import { readConfig } from './config.ts'
import { createWork } from './create-work.ts'
import { openControlPlaneDatabase } from './database/open.ts'
import { SealedTable } from './database/sealed-table.ts'
import { checkAdministrator, initialize } from './initialize.ts'
import { createLog, kept } from './log.ts'
import { readPassword } from './password-input.ts'
import { placesIn } from './places.ts'
import { startService } from './service.ts'
import { SetUpError } from './set-up-error.ts'
import { ownVersion } from './version.ts'

const usage = `usage: control-plane init --dir DIR [--root-key-file FILE] [--admin-user NAME] [--host HOST]
                          [--listen ADDRESS] [--port N] [--hosts-port N] [--labels cryptvisor|vsphere]
       control-plane serve --dir DIR
       control-plane recover-admin --dir DIR [--admin-user NAME]
       control-plane backup --dir DIR --out FILE
       control-plane verify-backup --from FILE [--ca FILE]
       control-plane restore --dir NEW --from FILE --root-key-file FILE [--host HOST] [--listen ADDRESS]
                             [--port N] [--hosts-port N]

init and recover-admin read the administrator's password, one line, from standard input.
`

/** How long a stop may take before the process ends anyway; what was answered is on disk by then. */
const stopWithinMs = 10_000

type Options = ReturnType<typeof parse>['values']

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        'root-key-file': { type: 'string' },
        'admin-user': { type: 'string', default: 'admin' },
        host: { type: 'string' },
        listen: { type: 'string' },
        port: { type: 'string' },
        'hosts-port': { type: 'string' },
        labels: { type: 'string' },
        out: { type: 'string' },
        from: { type: 'string' },
        ca: { type: 'string' },
      },
    })
  } catch (cause) {
    throw new SetUpError('usage', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function portOf(option: 'port' | 'hosts-port', text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = Number(text)
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new SetUpError('usage', `--${option}: expected a number from 1 to 65535`)
}

function labelsOption(text: string | undefined): 'cryptvisor' | 'vsphere' | undefined {
  if (text === undefined || text === 'cryptvisor' || text === 'vsphere') return text
  throw new SetUpError('usage', '--labels: expected cryptvisor or vsphere')
}

async function init(folder: string, options: Options): Promise<void> {
  const config = await initialize(
    {
      folder,
      rootKeyFile: options['root-key-file'],
      adminUser: options['admin-user'],
      adminPassword: await readPassword(process.stdin),
      host: options.host ?? '127.0.0.1',
      listenAddress: options.listen,
      port: portOf('port', options.port),
      hostsPort: portOf('hosts-port', options['hosts-port']),
      labels: labelsOption(options.labels),
    },
    Date.now,
  )
  process.stderr.write(
    `set up in ${folder}. Its root key is ${config.rootKeyFile}: keep a copy, and keep it out of the backups of ${folder}\n`,
  )
}

function restoreOptions(folder: string, options: Options): Parameters<typeof restore>[0] {
  return {
    folder,
    backup: options.from,
    rootKeyFile: options['root-key-file'],
    host: options.host,
    listenAddress: options.listen,
    port: portOf('port', options.port),
    hostsPort: portOf('hosts-port', options['hosts-port']),
  }
}

async function recoverAdmin(folder: string, options: Options): Promise<void> {
  const { rootKeyFile } = await readConfig(folder)
  const password = await readPassword(process.stdin)
  checkAdministrator(options['admin-user'], password)
  const database = await openControlPlaneDatabase(placesIn(folder).database)
  try {
    using rootKey = await readRootKeyFile(rootKeyFile)
    using barrier = await Barrier.open(new SealedTable(database), rootKey)
    const events = await auditedEvents(database, barrier, Date.now)
    await new Users(database, events, Date.now).setAdministrator(options['admin-user'], password)
  } finally {
    await database.destroy()
  }
  process.stderr.write(
    `${options['admin-user']} is an administrator with the new password; their sessions and API tokens are over\n`,
  )
}

async function serve(folder: string, coreDumpsOff: boolean): Promise<void> {
  const logRing = new LogRing()
  const { logLevel } = await readConfig(folder)
  const log = createLog(logLevel, kept(logRing))
  if (!coreDumpsOff) log.warn('core dumps are not off: keys may be written to disk when the process dies')
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'a fault of ours; the process ends')
    process.exit(1)
  })
  const stopped = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopped.resolve(signal))
  const service = await startService({ folder, version: ownVersion(), clock: Date.now, log, logRing, createWork })
  process.stdout.write(`${JSON.stringify({ ready: true, url: service.url, hostsUrl: service.hostsUrl })}\n`)
  log.info({ url: service.url, hostsUrl: service.hostsUrl }, 'ready')
  log.info({ signal: await stopped.promise }, 'stopping')
  setTimeout(() => {
    log.error('stopping takes too long; the process ends')
    process.exit(1)
  }, stopWithinMs).unref()
  await service.close()
  log.info('stopped')
}

async function main(args: readonly string[]): Promise<void> {
  process.umask(0o077)
  const { values, positionals } = parse(args)
  const reason = unsafeStart(thisStart())
  if (reason !== null) {
    throw new SetUpError('unsafe-process', `keys pass through the control plane, and it does not start so: ${reason}`)
  }
  const { coreDumpsOff } = await guardMemory()
  const [verb, ...rest] = positionals
  if (rest[0] !== undefined) throw new SetUpError('usage', `${rest[0]}: there is no such argument`)
  if (verb === 'verify-backup') {
    process.stderr.write(await checkBackup(values.from, values.ca))
    return
  }
  if (values.dir === undefined)
    throw new SetUpError('usage', '--dir: is missing; say where the control plane’s data is')
  switch (verb ?? '') {
    case 'init':
      return init(values.dir, values)
    case 'serve':
      return serve(values.dir, coreDumpsOff)
    case 'recover-admin':
      return recoverAdmin(values.dir, values)
    case 'backup':
      process.stderr.write(await backUp(values.dir, values.out))
      return
    case 'restore':
      process.stderr.write(await restore(restoreOptions(values.dir, values)))
      return
    default:
      throw new SetUpError(
        'usage',
        `${verb ?? 'VERB'}: expected init, serve, recover-admin, backup, verify-backup or restore`,
      )
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const help = error instanceof SetUpError && error.code === 'usage' ? usage : ''
  process.stderr.write(`control-plane: ${error instanceof Error ? error.message : String(error)}\n${help}`)
  process.exitCode = error instanceof SetUpError && error.code === 'usage' ? 2 : 1
}
