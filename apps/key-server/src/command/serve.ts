import { isIPv6 } from 'node:net'
import { versions } from '@cryptvisor/kmip'
import { KmipServer, MessageProcessor, type ServerIdentity } from '@cryptvisor/kmip-server'
import type { Identity } from '@cryptvisor/pki'
import { readCertificate } from '@cryptvisor/pki'
import { type RestServer, renewIdentity } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { emptyWriteAheadLog } from '@cryptvisor/sqlite'
import type { Logger } from 'pino'
import { v7 } from 'uuid'
import { AdminData } from '../admin/admin-data.ts'
import { buildAdminServer } from '../admin/admin-server.ts'
import { readyChecks } from '../admin/health.ts'
import { type Config, readConfig, writeConfig } from '../config.ts'
import { dataFolder } from '../data-folder.ts'
import { AuditLog } from '../database/audit-log.ts'
import { SqlObjectStore } from '../database/sql-object-store.ts'
import { KeyServerError } from '../key-server-error.ts'
import { eventsTo } from '../log.ts'
import { type Opened, openData } from '../opened.ts'

/** How often we look whether our certificate is to be renewed. */
const renewalCheckMs = 12 * 3_600_000

/** A running key server. */
export interface Running extends AsyncDisposable {
  readonly kmip: { readonly host: string; readonly port: number }
  readonly admin: { readonly url: string }
}

export interface ServeOptions {
  readonly folder: string
  readonly configPath: string | undefined
  readonly version: string
  readonly now: () => Date
}

/** Starts the key server of a data folder. Ports that are 0 in the configuration are chosen and written there. */
export async function serve(options: ServeOptions, createLog: (level: Config['logLevel']) => Logger): Promise<Running> {
  const folder = dataFolder(options.folder)
  const configPath = options.configPath ?? folder.config
  const config = await readConfig(configPath)
  const log = createLog(config.logLevel)
  await using stack = new AsyncDisposableStack()
  const data = stack.use(await openData(folder, config, options.now))
  // A kill may have come between an erasure and the emptying of the log, which still has what was erased.
  await emptyWriteAheadLog(data.db)
  const ca = await data.identities.caCertificate()
  const { identity } = await data.identities.server(config.hostNames)
  const { kmip, admin } = await startListeners({ ...options, config, data, ca, identity, log })
  stack.defer(() => kmip.close())
  stack.defer(() => admin.close())
  await keepPorts(configPath, config, kmip.address.port, portOf(admin))
  const timer = setInterval(() => void renew(config, data, ca, kmip, admin, log), renewalCheckMs)
  stack.defer(() => clearInterval(timer))
  const [host = config.kmip.address] = config.hostNames
  log.info({ auditHead: await new AuditLog(data.db).head(), kmip: kmip.address }, 'key server is ready')
  const kept = stack.move()
  return {
    kmip: { host, port: kmip.address.port },
    admin: { url: `https://${isIPv6(host) ? `[${host}]` : host}:${portOf(admin)}` },
    [Symbol.asyncDispose]: async () => {
      const auditHead = await new AuditLog(data.db).head()
      await kept.disposeAsync()
      log.info({ auditHead }, 'key server has stopped')
    },
  }
}

interface Parts extends ServeOptions {
  readonly config: Config
  readonly data: Opened
  readonly ca: string
  readonly identity: Identity
  readonly log: Logger
}

async function startListeners(parts: Parts): Promise<{ kmip: KmipServer; admin: RestServer }> {
  const { config, data, log, now, ca } = parts
  using identity = parts.identity
  const emit = eventsTo(log)
  const settings = {
    vendorIdentification: `Cryptvisor key server ${parts.version}`,
    versions,
    now,
    random: (sizeBytes: number) => Secret.random(sizeBytes),
    newId: () => v7(),
  }
  const kmip = await listening(config.kmip, () =>
    KmipServer.listen({
      host: config.kmip.address,
      port: config.kmip.port,
      identity: kmipIdentity(identity, ca, config),
      identify: async (certificate, address) => {
        const certificateFingerprint = readCertificate(certificate).fingerprint256
        const name = await data.register.nameOf('client', certificateFingerprint)
        return name === null ? null : { name, certificateFingerprint, address }
      },
      processor: new MessageProcessor(new SqlObjectStore(data.db, data.barrier), settings, emit),
      emit,
    }),
  )
  try {
    const admin = await buildAdminServer({
      tls: adminIdentity(identity, ca),
      data: new AdminData(data.db, data.register, now),
      register: data.register,
      version: parts.version,
      now,
      kmip: () => kmip.address,
      disconnect: (fingerprint) => kmip.disconnect(fingerprint),
      checks: () => readyChecks(data.db, data.barrier),
      log,
    })
    await listening(config.admin, ({ address, port }) => admin.listen({ host: address, port }))
    return { kmip, admin }
  } catch (error) {
    await kmip.close()
    throw error
  }
}

/** Why a system does not let us listen, and what to do about it. */
const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken: stop what listens there, or change the port in config.json',
  EADDRNOTAVAIL: 'cannot be had: this machine has no such address, change it in config.json',
  EACCES: 'is not for this user: change the port in config.json',
  ENOTFOUND: 'cannot be had: there is no such host, change the address in config.json',
}

/** Throws `bad-config` when the configuration is why it cannot listen. */
async function listening<Result>(at: Config['kmip'], listen: (at: Config['kmip']) => Promise<Result>): Promise<Result> {
  try {
    return await listen(at)
  } catch (cause) {
    const problem = cause instanceof Error && 'code' in cause ? listenProblems[String(cause.code)] : undefined
    if (problem === undefined) throw cause
    throw new KeyServerError('bad-config', `port ${at.port} of ${at.address} ${problem}`, { cause })
  }
}

function kmipIdentity(identity: Identity, clientCa: string, config: Config): ServerIdentity {
  const { certificate, privateKey } = identity
  return { certificate, privateKey, clientCa, isLegacy: config.legacySuites }
}

function adminIdentity(identity: Identity, clientCa: string) {
  const privateKey = identity.privateKey.expose((bytes) => Uint8Array.from(bytes))
  return { certificate: identity.certificate, privateKey, clientCa }
}

/** Makes our certificate anew when its time has come, and shows the new one from then on. */
async function renew(config: Config, data: Opened, ca: string, kmip: KmipServer, admin: RestServer, log: Logger) {
  try {
    const renewed = await data.identities.server(config.hostNames)
    using identity = renewed.identity
    if (!renewed.isRenewed) return
    kmip.renewIdentity(kmipIdentity(identity, ca, config))
    renewIdentity(admin, adminIdentity(identity, ca))
    log.info('the server certificate was renewed')
  } catch (error) {
    log.error({ err: error }, 'the server certificate could not be renewed; it is tried again')
  }
}

async function keepPorts(path: string, config: Config, kmipPort: number, adminPort: number): Promise<void> {
  if (config.kmip.port === kmipPort && config.admin.port === adminPort) return
  const { kmip, admin } = config
  await writeConfig(path, { ...config, kmip: { ...kmip, port: kmipPort }, admin: { ...admin, port: adminPort } })
}

function portOf(server: RestServer): number {
  const address = server.server.address()
  if (address === null || typeof address === 'string') throw new Error('the admin API does not listen on a port')
  return address.port
}
