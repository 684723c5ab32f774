import type { Readable } from 'node:stream'
import type {
  AddDisk,
  ApplyPlan,
  ApplyPolicies,
  ApplyStarted,
  AttachDisk,
  ChangePolicy,
  CloneVm,
  CreateVm,
  DetachDisk,
  DetachedDisk,
  Disk,
  ExportDisk,
  ImportDisk,
  ImportVolume,
  Key,
  KeyProvider,
  MigrateProvider,
  ProviderReference,
  RebootCheckList,
  RekeyHosts,
  RekeyVm,
  RestoreHeader,
  SetKeyType,
  StartedForHosts,
  Task,
  TaskSpeed,
  TaskState,
  TaskTarget,
  UnlockVms,
  VerifyKeys,
  Vm,
  VmCompliance,
} from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { HostRow, Schema, TaskRow } from '../../database/schema.ts'
import type { Audit } from '../audit/audit-entry.ts'
import type { Clock } from '../clock.ts'
import { providerView } from '../key-providers/provider-rows.ts'
import type { Log } from '../log.ts'
import { principalNamed } from '../permissions/principal.ts'
import { Scope } from '../permissions/scope.ts'
import type {
  Events,
  HostConnection,
  HostConnections,
  HostObserver,
  KeyProviders,
  Leaving,
  Principal,
} from '../ports.ts'
import { isRehearsed } from '../rehearsal.ts'
import type { Settings } from '../settings.ts'
import { Campaigns } from './campaigns/campaigns.ts'
import { ProviderMigration } from './campaigns/provider-migration.ts'
import { providerReferences } from './campaigns/provider-references.ts'
import { defaultTimings, type Timings, type WorkContext } from './context.ts'
import { eraseSaga, type StatementSigner } from './erasure/erase-saga.ts'
import type { EraseState } from './erasure/erase-state.ts'
import { Erasures } from './erasure/erasures.ts'
import { HandOver } from './hosts/hand-over.ts'
import { HostAdministration } from './hosts/host-administration.ts'
import { HostCatchUp } from './hosts/host-catch-up.ts'
import { HostDumps } from './hosts/host-dumps.ts'
import { leave } from './hosts/host-leaving.ts'
import { clusterOf, hostNamed } from './hosts/host-lookup.ts'
import { checkReboot } from './hosts/reboot-check.ts'
import { checkHostRemoval, checkProviderRemoval } from './hosts/removal-check.ts'
import { HostKeys } from './keys/host-keys.ts'
import { KeyDirectory, type KeyQuery } from './keys/key-directory.ts'
import { KeyDisposal } from './keys/key-disposal.ts'
import { KeyLives } from './keys/key-lives.ts'
import { defaultVerification, foundStateOf, KeyVerification } from './keys/key-verification.ts'
import { Kms } from './keys/kms.ts'
import { KekMaker } from './keys/new-kek.ts'
import { type VerifyState, verifySaga } from './keys/verify-saga.ts'
import { setKeyType } from './keys/wrapping/key-type.ts'
import { WrappingKeys } from './keys/wrapping/wrapping-keys.ts'
import { WrappingTimer } from './keys/wrapping/wrapping-timer.ts'
import { Compliance } from './policies/compliance.ts'
import { KeyRevocations } from './policies/key-revocations.ts'
import { KeyStateCheck } from './policies/key-state-check.ts'
import { layerRemoval } from './policies/layer-removal.ts'
import { PolicyApplication } from './policies/policy-application.ts'
import { PolicyWatch } from './policies/policy-watch.ts'
import { PolicyWork } from './policies/policy-work.ts'
import { Reconciliation } from './registration/reconciliation.ts'
import { Registration } from './registration/registration.ts'
import type { SagaDefinition, SagaState } from './sagas/definition.ts'
import { Sagas } from './sagas/sagas.ts'
import { TaskEnding } from './tasks/ending.ts'
import { sendImportContent, sendImportPassphrase } from './tasks/import-request.ts'
import { changePace } from './tasks/task-pace.ts'
import { TaskRunner } from './tasks/task-runner.ts'
import { getTask, listTasks, updateTask } from './tasks/task-store.ts'
import { taskView } from './tasks/task-view.ts'
import { DiskExports, type ExportedDisk } from './vms/disk-export.ts'
import { LockStates } from './vms/lock-states.ts'
import { findProvider, findVm, hostsOfCluster } from './vms/lookup.ts'
import { type UnlockAllState, unlockAllSaga } from './vms/unlock-all.ts'
import { moveVm } from './vms/vm-move.ts'
import { VmRequests } from './vms/vm-requests.ts'
import { readVms } from './vms/vm-store.ts'
import { VmUnlock } from './vms/vm-unlock.ts'
import { vmView } from './vms/vm-view.ts'

/** What the work is built from. */
export interface WorkParts {
  readonly database: Kysely<Schema>
  readonly events: Events
  readonly audit: Audit
  readonly keyProviders: KeyProviders
  readonly hostConnections: HostConnections
  readonly clock: Clock
  readonly log: Log
  readonly settings: Pick<Settings, 'labels' | 'keyVerification' | 'keyDestroyAfterMs'>
  readonly signer: StatementSigner
  readonly timings?: Timings
  /** A user with what they may do now; left out: as their permissions say. */
  readonly principalOf?: (user: string) => Promise<Principal>
}

/**
 * The half of the control plane that works: tasks, VMs and their disks, keys, hosts that come and go. Every method
 * throws `ControlPlaneError`. Hosts that connect before `start` wait for it; `stop` it before the database is closed.
 */
export class Work implements HostObserver {
  readonly keyLives: KeyLives
  readonly erasures: Erasures
  readonly #context: WorkContext
  readonly #stopping = new AbortController()
  readonly #started = Promise.withResolvers<void>()
  readonly #disposal: KeyDisposal
  readonly #catchUp: HostCatchUp
  readonly #runner: TaskRunner
  readonly #locks: LockStates
  readonly #requests: VmRequests
  readonly #unlock: VmUnlock
  readonly #exports: DiskExports
  readonly #directory: KeyDirectory
  readonly #revocations: KeyRevocations
  readonly #policyWatch: PolicyWatch
  readonly #policyWork: PolicyWork
  readonly #wrapping: WrappingKeys
  readonly #wrappingTimer: WrappingTimer
  readonly #kms: Kms
  readonly #sagas: Sagas
  readonly #verifies: boolean
  readonly #unlockAll: SagaDefinition<UnlockAllState>
  readonly #migration: ProviderMigration
  readonly #verifySaga: SagaDefinition<VerifyState>
  /** The encryption of hosts. */
  readonly hosts: HostAdministration
  /** Core dumps that lie on hosts. */
  readonly dumps: HostDumps
  /** VMs that lie on datastores already, and those that are to be forgotten. */
  readonly registration: Registration
  /** What datastores say of VMs after a restore. */
  readonly reconciliation: Reconciliation
  /** Rekey campaigns. */
  readonly campaigns: Campaigns
  /** How the keys in use are found when they are read back. */
  readonly keyVerification: KeyVerification

  constructor({ settings, signer, timings = defaultTimings, ...parts }: WorkParts) {
    const principalOf = parts.principalOf ?? ((user: string) => principalNamed(parts.database, user))
    this.#context = { ...parts, labels: settings.labels, timings, stopping: this.#stopping.signal }
    const kms = new Kms(this.#context)
    const maker = new KekMaker(this.#context, kms)
    const handOver = new HandOver(this.#context, kms, (hostId) => this.#catchUp.again(hostId))
    this.#disposal = new KeyDisposal(this.#context)
    this.#wrapping = new WrappingKeys(this.#context, kms, maker, handOver, this.#disposal)
    this.#wrappingTimer = new WrappingTimer(this.#context, this.#wrapping)
    this.#kms = kms
    const hostKeys = new HostKeys(this.#context, kms, maker, handOver, this.#disposal)
    this.#locks = new LockStates(this.#context)
    this.#catchUp = new HostCatchUp(this.#context, kms, handOver, hostKeys, this.#locks)
    this.#revocations = new KeyRevocations(this.#context, handOver, (hostId) => this.#catchUp.again(hostId))
    const keyStates = new KeyStateCheck(kms, this.#revocations)
    const compliance = new Compliance(this.#context)
    this.#policyWatch = new PolicyWatch(this.#context, this.#revocations, compliance)
    const application = new PolicyApplication(this.#context, compliance, principalOf, () => this.#requests)
    const removal = layerRemoval(this.#context, handOver)
    this.keyVerification = new KeyVerification(
      this.#context,
      settings.keyVerification ?? defaultVerification,
      async (key, finding) => {
        const state = foundStateOf(finding)
        if (state !== null) await this.#revocations.found(key, state)
      },
      Math.random,
    )
    this.#verifies = settings.keyVerification !== undefined
    this.#unlockAll = unlockAllSaga(this.#context, kms, handOver, this.#locks)
    this.#verifySaga = verifySaga(this.keyVerification)
    const erase: SagaDefinition<EraseState> = eraseSaga({
      work: this.#context,
      kms,
      handOver,
      signer,
      runOf: (taskId) => this.#runner.get(taskId),
    })
    this.hosts = new HostAdministration(this.#context, hostKeys, handOver, (hostId) => this.#catchUp.again(hostId))
    this.#migration = new ProviderMigration(this.#context, () => ({
      campaigns: this.campaigns,
      hosts: this.hosts,
      principalOf,
    }))
    const sagas: readonly SagaDefinition<SagaState>[] = [
      ...this.hosts.definitions,
      this.#unlockAll,
      this.#migration.definition,
      this.#verifySaga,
      application.saga,
      removal,
      erase,
    ]
    const ending = new TaskEnding(this.#context, {
      handOver,
      hostKeys,
      disposal: this.#disposal,
      locks: this.#locks,
      revocations: this.#revocations,
      compliance,
    })
    const keys = { kms, maker, handOver, hostKeys, wrapping: this.#wrapping, keyStates }
    this.#runner = new TaskRunner(this.#context, keys, ending, sagas)
    this.#sagas = new Sagas(this.#context, this.#runner)
    this.hosts.use(this.#sagas)
    this.#requests = new VmRequests(this.#context, this.#runner)
    const policyParts = { compliance, revocations: this.#revocations, application, removal, sagas: this.#sagas }
    this.#policyWork = new PolicyWork(this.#context, policyParts)
    this.campaigns = new Campaigns(this.#context, this.#requests, this.#runner, principalOf)
    this.#unlock = new VmUnlock(this.#context, handOver, this.#locks, keyStates)
    this.#exports = new DiskExports(this.#context, handOver)
    this.dumps = new HostDumps(this.#context, kms)
    this.#directory = new KeyDirectory(this.#context, kms)
    this.keyLives = new KeyLives(this.#context, kms, settings.keyDestroyAfterMs, principalOf)
    const again = (hostId: string) => this.#catchUp.again(hostId)
    this.registration = new Registration(this.#context, handOver, again)
    this.reconciliation = new Reconciliation(this.#context, handOver, again)
    this.erasures = new Erasures(this.#context, this.keyLives.approvals, this.#sagas, erase)
  }

  /** Takes up what was open when the control plane stopped or died. */
  async start(): Promise<void> {
    await this.#locks.forget(null)
    await this.#disposal.start()
    await this.#runner.start()
    this.#policyWatch.start()
    this.#wrappingTimer.start()
    if (this.#verifies) this.keyVerification.start()
    this.keyLives.start()
    this.campaigns.start()
    this.#started.resolve()
  }

  /** Gives up what goes on, as it stands in the database, and resolves when nothing goes on any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the control plane stops'))
    await Promise.all([
      this.#runner.stopped(),
      this.#catchUp.stopped(),
      this.#disposal.stopped(),
      this.#exports.stopped(),
      this.#policyWatch.stopped(),
      this.#wrappingTimer.stopped(),
      this.keyVerification.stopped(),
      this.keyLives.stopped(),
      this.campaigns.stopped(),
    ])
  }

  /** Begins a task of the care for hosts. */
  async forHosts(begin: (hosts: HostAdministration) => Promise<TaskRow>): Promise<Task> {
    return this.#view(await begin(this.hosts))
  }

  /** Gives every host of a cluster another host key. */
  async rekeyHosts(principal: Principal, cluster: string, request: RekeyHosts): Promise<StartedForHosts> {
    const { tasks, skipped } = await this.hosts.rekeyCluster(principal, cluster, request)
    return { tasks: tasks.map((row) => this.#view(row)), skipped: [...skipped] }
  }

  /** Reads all keys in use back, or those of one provider. */
  async verifyKeys(principal: Principal, { provider }: VerifyKeys): Promise<Task> {
    const name = provider === undefined ? null : await findProvider(this.#context.database, provider, 'provider')
    const target: TaskTarget =
      name === null ? { kind: 'system', id: 'keys', name: 'all keys' } : { kind: 'key-provider', id: name, name }
    return this.#view(
      await this.#sagas.begin({ definition: this.#verifySaga, target, state: { provider: name }, principal }),
    )
  }

  /** Says which keys a provider gives from now on; the first wrapping key is made soon after. */
  async setKeyType(principal: Principal, provider: string, request: SetKeyType): Promise<KeyProvider> {
    await setKeyType(this.#context, this.#kms, provider, request, principal)
    this.#wrappingTimer.wake()
    return providerView(this.#context.database, provider)
  }

  /** Has a provider take another wrapping key from now on. */
  async rotateWrappingKey(principal: Principal, provider: string): Promise<KeyProvider> {
    await this.#wrapping.rotate(provider, principal)
    return providerView(this.#context.database, provider)
  }

  /** Those that `principal` may see, by name. */
  /** All that needs a key provider. */
  providerReferences(provider: string): Promise<ProviderReference[]> {
    return providerReferences(this.#context.database, provider)
  }

  /** Moves everything from one key provider to another. */
  async migrateProvider(principal: Principal, from: string, request: MigrateProvider): Promise<Task> {
    return this.#view(await this.#migration.begin(this.#sagas, from, request, principal))
  }

  async listVms(principal: Principal): Promise<Vm[]> {
    const { database } = this.#context
    const scope = await Scope.of(database, principal, 'System.Read')
    return (await readVms(database, { scope })).map(vmView)
  }

  async showVm(nameOrId: string): Promise<Vm> {
    return vmView(await findVm(this.#context.database, nameOrId))
  }

  async listDisks(nameOrId: string): Promise<Disk[]> {
    return (await this.showVm(nameOrId)).disks
  }

  /** Puts the VM into another folder of the inventory. */
  async moveVm(principal: Principal, nameOrId: string, folder: string): Promise<Vm> {
    await moveVm(this.#context, principal, nameOrId, folder)
    return this.showVm(nameOrId)
  }

  async createVm(principal: Principal, request: CreateVm): Promise<Task> {
    return this.#view(await this.#requests.create(principal, request))
  }

  async deleteVm(principal: Principal, nameOrId: string): Promise<Task> {
    return this.#view(await this.#requests.remove(principal, nameOrId))
  }

  /** Changes storage policies, which encrypts or decrypts. A task that succeeded at once: there is nothing to do. */
  async changePolicy(principal: Principal, nameOrId: string, request: ChangePolicy): Promise<Task> {
    return this.#view(await this.#requests.changePolicy(principal, nameOrId, request))
  }

  /** Gives the VM, or parts of it, another KEK; `deep`: encrypts them anew, too. */
  async rekeyVm(principal: Principal, nameOrId: string, request: RekeyVm): Promise<Task> {
    return this.#view(await this.#requests.rekey(principal, nameOrId, request))
  }

  async cloneVm(principal: Principal, nameOrId: string, request: CloneVm): Promise<Task> {
    return this.#view(await this.#requests.clone(principal, nameOrId, request))
  }

  async addDisk(principal: Principal, nameOrId: string, request: AddDisk): Promise<Task> {
    return this.#view(await this.#requests.addDisk(principal, nameOrId, request))
  }

  /** Makes a layer that was detached a disk of a VM. */
  async attachDisk(principal: Principal, nameOrId: string, request: AttachDisk): Promise<Task> {
    return this.#view(await this.#requests.attachDisk(principal, nameOrId, request))
  }

  /** Takes a disk from a VM; its layer stays, unless its data is to go, too. */
  async detachDisk(principal: Principal, nameOrId: string, number: number, request: DetachDisk): Promise<Task> {
    return this.#view(await this.#requests.detachDisk(principal, nameOrId, number, request.remove === true))
  }

  /** Those on datastores whose files `principal` may list. */
  listDetachedDisks(principal: Principal): Promise<DetachedDisk[]> {
    return this.#policyWork.detachedDisks(principal)
  }

  async removeDetachedDisk(principal: Principal, layerId: string): Promise<Task> {
    return this.#view(await this.#policyWork.removeDetached(principal, layerId))
  }

  /** Whether VMs comply with their storage policies. */
  compliance(principal: Principal, query: ApplyPolicies): Promise<VmCompliance[]> {
    return this.#policyWork.compliance(principal, query)
  }

  /** What bringing VMs into line with their policies would take. */
  previewPolicies(principal: Principal, request: ApplyPolicies): Promise<ApplyPlan[]> {
    return this.#policyWork.preview(principal, request)
  }

  /** Brings VMs into line with their policies. */
  async applyPolicies(principal: Principal, request: ApplyPolicies): Promise<ApplyStarted> {
    const { task, plans } = await this.#policyWork.apply(principal, request)
    return { task: task === null ? null : this.#view(task), plans }
  }

  /** The task waits for `sendContent`. */
  async importDisk(principal: Principal, nameOrId: string, request: ImportDisk): Promise<Task> {
    return this.#view(await this.#requests.importDisk(principal, nameOrId, request))
  }

  /** Begins to read a disk out, plain; `signal` fires when whoever reads it is gone. */
  exportDisk(
    principal: Principal,
    nameOrId: string,
    number: number,
    request: ExportDisk,
    signal: AbortSignal,
  ): Promise<ExportedDisk> {
    return this.#exports.begin(principal, nameOrId, number, request, signal)
  }

  /** Begins to read out a backup of an encrypted disk's header; `signal` fires when whoever reads it is gone. */
  backupHeader(principal: Principal, nameOrId: string, number: number, signal: AbortSignal): Promise<ExportedDisk> {
    return this.#exports.beginHeader(principal, nameOrId, number, signal)
  }

  /** The task waits for `sendContent`. */
  async restoreHeader(principal: Principal, nameOrId: string, number: number, request: RestoreHeader): Promise<Task> {
    return this.#view(await this.#requests.restoreHeader(principal, nameOrId, number, request))
  }

  /** The task waits for `sendPassphrase`, then for `sendContent`. */
  async importVolume(principal: Principal, nameOrId: string, request: ImportVolume): Promise<Task> {
    return this.#view(await this.#requests.importVolume(principal, nameOrId, request))
  }

  /** Hands on the passphrase of the volume that a task imports; it stays the caller's. */
  async sendPassphrase(taskId: string, passphrase: Secret, signal: AbortSignal): Promise<void> {
    await sendImportPassphrase(this.#context.database, this.#runner, taskId, passphrase, signal)
  }

  /**
   * Sends the image that an import waits for on to its host, and gives the task when all of it is on disk there.
   * `contentBytes`: as the sender says, `null` when it does not. `signal` fires when the sender is gone.
   */
  async sendContent(
    taskId: string,
    content: Readable,
    contentBytes: number | null,
    signal: AbortSignal,
  ): Promise<Task> {
    const { database } = this.#context
    return this.#view(await sendImportContent(database, this.#runner, taskId, { content, contentBytes, signal }))
  }

  /** Fetches the VM's keys again, hands them over and has the host open the VM. */
  /** Whether a host, or all of a cluster, can be restarted now. */
  async checkReboot(of: { readonly host: string } | { readonly cluster: string }): Promise<RebootCheckList> {
    const { database } = this.#context
    const hosts =
      'host' in of
        ? [await hostNamed(database, of.host)]
        : await hostsOfCluster(database, (await clusterOf(database, of.cluster)).id)
    return checkReboot(this.#context, this.keyVerification, hosts)
  }

  /** Unlocks all VMs that are locked, or those of a host. */
  async unlockVms(principal: Principal, { host }: UnlockVms): Promise<Task> {
    const row = host === undefined ? null : await hostNamed(this.#context.database, host)
    const target: TaskTarget =
      row === null
        ? { kind: 'system', id: 'vms', name: 'all locked VMs' }
        : { kind: 'host', id: row.id, name: row.name }
    const state = { hostId: row?.id ?? null, unlocked: 0, locked: 0 }
    return this.#view(await this.#sagas.begin({ definition: this.#unlockAll, target, state, principal }))
  }

  async unlockVm(principal: Principal, nameOrId: string): Promise<Vm> {
    await this.#unlock.unlock(principal, nameOrId)
    return this.showVm(nameOrId)
  }

  /** Those of what `principal` may see, and `principal`'s own; the newest first. */
  async listTasks(
    principal: Principal,
    query: {
      readonly vm?: string
      readonly state?: TaskState
      readonly limit?: number
    },
  ): Promise<Task[]> {
    const { database } = this.#context
    const scope = await Scope.of(database, principal, 'System.Read')
    return (await listTasks(database, { ...query, scope, user: principal.name })).map((row) => this.#view(row))
  }

  async showTask(id: string): Promise<Task> {
    return this.#view(await getTask(this.#context.database, id))
  }

  /** Asks a task to stop. It ends as cancelled with all as it was, or as a success when it was too late. */
  async cancelTask(id: string): Promise<Task> {
    const { database } = this.#context
    const row = await getTask(database, id)
    if (row.state === 'queued' || row.state === 'running') {
      await updateTask(database, id, { cancel_requested: 1 })
      if (!isRehearsed()) this.#runner.get(id)?.cancel()
    }
    return this.showTask(id)
  }

  /** Has the task move no data until it is resumed. */
  async pauseTask(id: string): Promise<Task> {
    return this.#view(await changePace(this.#context, this.#runner, id, (agent, at) => agent.pauseOperation(at)))
  }

  async resumeTask(id: string): Promise<Task> {
    return this.#view(await changePace(this.#context, this.#runner, id, (agent, at) => agent.resumeOperation(at)))
  }

  /** Limits how fast the task may move data from now on. */
  async limitTask(id: string, speed: TaskSpeed): Promise<Task> {
    return this.#view(await changePace(this.#context, this.#runner, id, (agent, at) => agent.limitOperation(at, speed)))
  }

  /** The keys of one provider, as it tells of them. */
  async listKeys(principal: Principal, query: KeyQuery): Promise<Key[]> {
    return this.#directory.list(query, principal)
  }

  async showKey(principal: Principal, provider: string, keyId: string): Promise<Key> {
    return this.#directory.show(provider, keyId, principal)
  }

  async hostConnected(host: HostRow, connection: HostConnection): Promise<void> {
    await this.#started.promise
    // The session may be over by now, or a newer one there.
    if (this.#context.hostConnections.get(host.id) === connection) await this.#catchUp.connected(host, connection)
  }

  async hostDisconnected(host: HostRow): Promise<void> {
    // It may be back already: then this is the news of the session before.
    if (this.#context.hostConnections.get(host.id) !== null) return
    this.#catchUp.disconnected(host.id)
    await this.#locks.forget(host)
  }

  async checkHostRemoval(host: HostRow): Promise<void> {
    await checkHostRemoval(this.#context.database, host)
  }

  async hostLeaves(host: HostRow): Promise<Leaving> {
    // Nobody gives it keys any more.
    this.#catchUp.disconnected(host.id)
    return leave(this.#context, host)
  }

  async policyChanged(name: string): Promise<void> {
    await this.#policyWork.policyChanged(name)
  }

  async checkProviderRemoval(provider: string): Promise<void> {
    await checkProviderRemoval(this.#context.database, provider)
  }

  #view(row: TaskRow): Task {
    return taskView(row, this.#runner.get(row.id)?.progress ?? null)
  }
}
