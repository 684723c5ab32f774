import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { HostStatus } from '@cryptvisor/host-agent-api'
import { addHealthRoutes, buildServer, isHealth, type RestServer } from '@cryptvisor/rest'
import { NodeStorage } from '@cryptvisor/storage'
import { LogRing } from '@cryptvisor/support-bundle'
import type { Logger } from 'pino'
import { RenewalWish } from './certificate-renewal.ts'
import { type AgentConfig, agentFiles } from './config.ts'
import { ControlPlaneEpoch } from './control-plane-epoch.ts'
import { Datastores } from './datastore/datastores.ts'
import { Devices } from './disk/devices.ts'
import { writeCoreDumpHelper } from './dumps/core-pattern.ts'
import { writeDumpKey } from './dumps/dump-key.ts'
import { type Enrolled, readEnrolled } from './enrolled.ts'
import { KeyCache } from './key-cache.ts'
import { HostAcceleration } from './machine/acceleration.ts'
import { MachineReports } from './machine/machine-reports.ts'
import { Machines } from './machine/machines.ts'
import { BulkLimit } from './operation/bulk-limit.ts'
import type { OperationHost } from './operation/host.ts'
import { Operations } from './operation/operations.ts'
import { KeyPersistence } from './persistence/key-persistence.ts'
import { Tpm } from './persistence/tpm.ts'
import { keyMemoryLevel } from './process/key-memory.ts'
import { runTool } from './process/tool.ts'
import { keepRenewingSession, type SessionParts, shownBy } from './renewing-session.ts'
import { admitControlPlane } from './rest/caller.ts'
import { addDatastoreRoutes } from './rest/datastore-routes.ts'
import { addDumpRoutes } from './rest/dump-routes.ts'
import { restErrorOf } from './rest/error-table.ts'
import { healthChecks, isThisHost } from './rest/health.ts'
import { addHostRoutes, hostStatus } from './rest/host-routes.ts'
import { addKeyPersistenceRoutes } from './rest/key-persistence-routes.ts'
import { addLayerRoutes } from './rest/layer-routes.ts'
import { addMachineRoutes } from './rest/machine-routes.ts'
import { addOperationRoutes } from './rest/operation-routes.ts'
import { addSupportBundleRoutes } from './rest/support-bundle-routes.ts'
import { addVmRoutes } from './rest/vm-routes.ts'
import { newSessionWatch, type SessionWatch } from './session.ts'
import { descriptorTools } from './storage/descriptor-tools.ts'

/** The agent's version, as the control plane shows it. */
export const agentVersion = '0.1.0'

/** How many operations of one host move data at once. */
const bulkOperationsMax = 2

/** How many disks are read out at once: each has a thread of its own, which takes some 25 MiB. */
const exportsMax = 4

/**
 * How many volumes of others it opens at once. Their headers say how much memory that takes, by default 1 GiB each, and keep a
 * thread of the four that read and write files busy, for minutes where they ask for much.
 */
const unlockingMax = 1

/** How many threads work on one disk: more than these bring little, and the machine has other things to do. */
const laneCountMax = 2

/** What is read, worked on and written at once: from 512 KiB to 2 MiB all are alike (facts/datapath.md, section 4). */
const chunkBytes = 1_048_576

/** How much of a disk may have to be done again after a crash: a second's work. */
const checkpointBytes = 1_073_741_824

/** The kernel's own resource manager of a machine's TPM. */
const defaultTcti = 'device:/dev/tpmrm0'

/** A running agent. Disposing of it ends the session, undoes what runs as far as that works at once, and wipes all keys. */
export interface Agent extends AsyncDisposable {
  readonly config: AgentConfig
}

/**
 * Starts the agent of an enrolled folder: answers REST at its port, keeps its session with the control plane, and holds no
 * key until one is handed over. `ring` has what `log` was told of late. Throws AgentError `bad-config`.
 */
export async function startAgent(folder: string, log: Logger, ring: LogRing = new LogRing()): Promise<Agent> {
  const enrolled = await readEnrolled(folder)
  const { config, identity } = enrolled
  await using stack = new AsyncDisposableStack()
  stack.use(identity)
  const cryptoSupported = config.crypto === 'supported'
  const storage = new NodeStorage(descriptorTools)
  const surroundings: Omit<OperationHost, 'machines'> = {
    storage,
    datastores: new Datastores(
      storage,
      config.datastoreRoots ?? null,
      undefined,
      new Devices(storage, config.deviceRoots ?? []),
    ),
    keys: stack.use(new KeyCache()),
    cryptoSupported,
    bulk: new BulkLimit(bulkOperationsMax),
    exports: new BulkLimit(exportsMax),
    unlocking: new BulkLimit(unlockingMax),
    lanes: { laneCount: Math.min(laneCountMax, availableParallelism()), chunkBytes },
    checkpointBytes,
    warn: (text) => log.warn(text),
  }
  const acceleration = new HostAcceleration()
  const machines = stack.use(
    await Machines.open({
      ...{ folder: agentFiles.run(folder), host: surroundings, log, now: Date.now },
      accelerationOf: (wish) => acceleration.of(wish === 'auto' ? (config.acceleration ?? 'auto') : wish),
      canSwap: async () => (await keyMemoryLevel()).swap,
    }),
  )
  const host: OperationHost = { ...surroundings, machines }
  const operations = stack.use(new Operations(host, log))
  const status = await identityOf(config)
  await writeCoreDumpHelper(folder)
  const epoch = await ControlPlaneEpoch.open(folder)
  const wish = new RenewalWish()
  const watch = newSessionWatch()
  const persistence = stack.use(await openPersistence(folder, config, host.keys, log))
  const parts = { status, epoch, wish, persistence, watch, ring, machines }
  const app = await buildApp(folder, enrolled, host, operations, parts, log)
  stack.defer(() => app.close())
  await app.listen({ host: listenAddressOf(config), port: config.port })
  const reports = new MachineReports(
    () => machines.statuses,
    () => watch.isConnected,
  )
  stack.use(machines.onChange(() => reports.due()))
  startSession({ folder, enrolled, epoch, app, wish, watch, reports }, status.bootId, log, stack)
  const running = stack.move()
  return { config, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

type HostIdentity = Omit<HostStatus, 'cryptoState' | 'hostKey' | 'keysHeldCount' | 'keyMemory' | 'keyPersistence'>

async function identityOf({ hostId, name, hardwareUuid }: AgentConfig): Promise<HostIdentity> {
  const [qemuImg, qemuSystem] = await Promise.all(['qemu-img', 'qemu-system-x86_64'].map(toolVersion))
  const tools = { qemuImg: qemuImg ?? null, qemuSystem: qemuSystem ?? null }
  return { hostId, name, bootId: randomUUID(), hardwareUuid, version: agentVersion, tools }
}

/** `null`: it is not there. */
async function toolVersion(command: string): Promise<string | null> {
  const { exitCode, stdout } = await runTool(command, ['--version'])
  return exitCode === 0 ? (/version (\S+)/.exec(stdout)?.[1] ?? null) : null
}

interface AppParts {
  readonly status: HostIdentity
  readonly epoch: ControlPlaneEpoch
  readonly wish: RenewalWish
  readonly persistence: KeyPersistence
  readonly watch: SessionWatch
  readonly ring: LogRing
  readonly machines: Machines
}

/** The KEKs that this host keeps across restarts, if it does, are held when it resolves. */
async function openPersistence(
  folder: string,
  { hostId, tpm }: AgentConfig,
  keys: KeyCache,
  log: Logger,
): Promise<KeyPersistence> {
  return await KeyPersistence.open({
    ...{ folder, hostId, keys, now: Date.now },
    tpm: new Tpm(tpm?.tcti ?? defaultTcti, tpm?.pcrs ?? null, folder),
    warn: (fields, text) => log.warn(fields, text),
  })
}

async function buildApp(
  folder: string,
  { config, identity, ca }: Enrolled,
  host: OperationHost,
  operations: Operations,
  { status, epoch, wish, persistence, watch, ring, machines }: AppParts,
  logger: Logger,
): Promise<RestServer> {
  const app = await buildServer({
    title: 'Cryptvisor host agent',
    description: 'Encrypts disks and VM Home on one host; only the control plane may call it.',
    version: agentVersion,
    tls: shownBy(identity, ca),
    mapError: restErrorOf,
    logger,
  })
  app.addHook('onRequest', async ({ raw }) => {
    if (isHealth(raw.url) && isThisHost(raw.socket, config.hostId)) return
    admitControlPlane(raw.socket, epoch.known)
    persistence.confirmed()
  })
  addHealthRoutes(app, () => healthChecks({ keys: host.keys, cryptoSupported: host.cryptoSupported, session: watch }))
  const shown = { ...host, identity: status, keyMemory: keyMemoryLevel, persistence }
  addHostRoutes(app, {
    ...{ ...shown, renew: () => wish.wish() },
    sealDumpsWith: (key, hostKey) => writeDumpKey(folder, key, hostKey),
  })
  addKeyPersistenceRoutes(app, { cryptoSupported: host.cryptoSupported, persistence })
  addDumpRoutes(app, host.keys, folder)
  const { keys, datastores } = host
  addSupportBundleRoutes(app, {
    ...{ folder, config, keys, datastores, operations },
    ...{ session: watch, log: ring, version: agentVersion, status: () => hostStatus(shown) },
  })
  addVmRoutes(app, host)
  addMachineRoutes(app, machines)
  addLayerRoutes(app, host)
  addOperationRoutes(app, operations)
  addDatastoreRoutes(app, host.datastores)
  return app
}

/** Keeps the session until the stack is disposed of. */
function startSession(
  parts: Omit<SessionParts, 'request' | 'timing'>,
  bootId: string,
  log: Logger,
  stack: AsyncDisposableStack,
): void {
  const { config } = parts.enrolled
  const request = { bootId, url: config.url, version: agentVersion, cryptoSupported: config.crypto === 'supported' }
  const ending = new AbortController()
  const timing = { now: Date.now, random: Math.random }
  const session = keepRenewingSession({ ...parts, request, timing }, log, ending.signal)
  stack.defer(async () => {
    ending.abort()
    await session
  })
}

function listenAddressOf({ listenAddress, url }: AgentConfig): string {
  return listenAddress ?? new URL(url).hostname.replace(/^\[|\]$/g, '')
}
