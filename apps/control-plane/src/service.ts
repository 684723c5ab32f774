import { readFile } from 'node:fs/promises'
import { Barrier, readRootKeyFile } from '@cryptvisor/key-store'
import { isHealth, type RestServer } from '@cryptvisor/rest'
import { LogRing } from '@cryptvisor/support-bundle'
import type { Kysely } from 'kysely'
import type { Logger } from 'pino'
import { keepLooking } from './app/alarms/alarm-watch.ts'
import { AuditSigner } from './app/audit/audit-signer.ts'
import { Certificates, ownValidDays } from './app/certificates.ts'
import type { Clock } from './app/clock.ts'
import { Platform } from './app/platform.ts'
import type { HostObserver } from './app/ports.ts'
import type { Settings } from './app/settings.ts'
import { type Config, destroyAfterMsOf, kmipOf, labelsOf, readConfig, sessionsOf, verificationOf } from './config.ts'
import { openControlPlaneDatabase } from './database/open.ts'
import type { Schema } from './database/schema.ts'
import { SealedTable } from './database/sealed-table.ts'
import { buildHostsServer } from './http/hosts-server.ts'
import type { Routes } from './http/routes.ts'
import { buildUsersServer } from './http/users-server.ts'
import { issueShown, keepRenewed, renewShown } from './own-certificates.ts'
import { placesIn } from './places.ts'
import { SetUpError } from './set-up-error.ts'

/** The work half as the service sees it. */
export interface WorkPart {
  readonly work: HostObserver & {
    /** Takes up what an earlier run left. */
    start(): Promise<void>
    /** Lets go of everything; what is under way is taken up after the next start. */
    stop(): Promise<void>
  }
  readonly routes: Routes
}

/** What the work half is built from. */
export interface WorkParts {
  readonly database: Kysely<Schema>
  readonly platform: Platform
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Logger
}

export interface ServiceOptions {
  readonly folder: string
  readonly version: string
  readonly clock: Clock
  readonly log: Logger
  /** What the log was told of late; left out: support bundles have none of it. */
  readonly logRing?: LogRing
  readonly createWork: (parts: WorkParts) => WorkPart
}

/** A control plane that runs. */
export interface Service {
  readonly url: string
  readonly hostsUrl: string
  readonly platform: Platform
  /** Shows new certificates from now on; done by itself at two thirds of their life. */
  renewCertificates(): Promise<void>
  /** Ends everything; what was answered is on disk. */
  close(): Promise<void>
}

/** Starts the control plane of a data folder that is set up. Throws `SetUpError`, `KeyStoreError`, `SqliteError`. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { folder, version, clock, log } = options
  const config = await readConfig(folder)
  // What was opened is closed in the opposite order, also when a later step fails.
  await using opened = new AsyncDisposableStack()
  const database = opened.adopt(await openControlPlaneDatabase(placesIn(folder).database), (open) => open.destroy())
  const barrier = opened.use(await openBarrier(config, database))
  const ca = await readFile(placesIn(folder).ca, 'utf8')
  const certificates = await Certificates.load(database, barrier, ca, clock)
  const settings: Settings = {
    labels: labelsOf(config, version),
    kmip: kmipOf(config),
    keyVerification: verificationOf(config),
    keyDestroyAfterMs: destroyAfterMsOf(config),
    sessions: sessionsOf(config),
  }
  const hostsUrl = urlOf(config.host, config.hostsPort)
  const agentIdentity = await certificates.issueClient()
  const auditSigner = await AuditSigner.open(database, barrier)
  const parts = {
    database,
    barrier,
    auditSigner,
    certificates,
    agentIdentity,
    hostsUrl,
    folder,
    version,
    settings,
    clock,
    log,
    logRing: options.logRing ?? new LogRing(),
  }
  const platform = opened.use(new Platform(parts))
  const { work, routes } = options.createWork({ database, platform, settings, clock, log })
  platform.observe(work)
  const issue = () => issueShown(certificates, config.host)
  const tls = await issue()
  platform.certificateInventory.show(tls)
  const users = await buildUsersServer(platform, routes, tls.users, version, log)
  opened.defer(() => users.close())
  const hosts = await buildHostsServer(platform, tls.hosts, version, log)
  opened.defer(() => hosts.close())
  opened.defer(() => platform.sessions.close())
  opened.defer(() => work.stop())
  const host = config.listenAddress ?? config.host
  // Both ports are taken before anything is begun, so that no second process works on this folder at the same time.
  const started = Promise.withResolvers<void>()
  for (const server of [users, hosts]) {
    // Whoever asks how we are is told that at once.
    server.addHook('onRequest', async ({ routeOptions }) => {
      if (routeOptions.config.access !== 'public' || !isHealth(routeOptions.url)) await started.promise
    })
  }
  await listen(users, host, config.port, 'port')
  await listen(hosts, host, config.hostsPort, 'hostsPort')
  await work.start()
  platform.started()
  started.resolve()
  opened.use(await platform.pendingClientKeys.keepForgetting(log))
  opened.use(await platform.backups.keepMaking())
  platform.probeTimer.start()
  opened.use(platform.directories.keepRechecking())
  opened.use(platform.auditWatch.keepChecking())
  opened.use(platform.clientRenewal.start())
  opened.use(platform.delivery.start())
  opened.use(keepLooking(platform.alarmBook, platform.retention, platform.events, database, log))
  const renewCertificates = () => renewShown(issue, users, hosts, platform.sessions, platform.certificateInventory)
  opened.use(keepRenewed(renewCertificates, ownValidDays, clock, log))
  const running = opened.move()
  return {
    url: urlOf(config.host, config.port),
    hostsUrl,
    platform,
    renewCertificates,
    close: () => running.disposeAsync(),
  }
}

/** Throws `port-taken`, also where the address is not ours or the port needs more rights. */
async function listen(server: RestServer, host: string, port: number, field: 'port' | 'hostsPort'): Promise<void> {
  try {
    await server.listen({ host, port })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    const reason = code === 'EADDRINUSE' ? 'somebody listens there already, perhaps this control plane itself' : code
    throw new SetUpError(
      'port-taken',
      `cannot listen at ${urlOf(host, port)} (${reason}): end that, or change ${field} or listenAddress in config.json`,
      { cause },
    )
  }
}

async function openBarrier(config: Config, database: Kysely<Schema>): Promise<Barrier> {
  using rootKey = await readRootKeyFile(config.rootKeyFile)
  // Awaited here: the root key is lent until then.
  return await Barrier.open(new SealedTable(database), rootKey)
}

function urlOf(host: string, port: number): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}
