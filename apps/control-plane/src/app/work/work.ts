import type {
  ApplyPlan,
  ApplyPolicies,
  ApplyStarted,
  ChangePolicy,
  CloneVm,
  CreateVm,
  Key,
  KeyProvider,
  MigrateProvider,
  ProviderReference,
  RebootCheckList,
  RekeyHosts,
  RekeyVm,
  SetKeyType,
  StartedForHosts,
  Task,
  TaskTarget,
  UnlockVms,
  VerifyKeys,
  Vm,
  VmCompliance,
} from '@cryptvisor/control-plane-api'
import type { MachineReport } from '@cryptvisor/host-agent-api'
import type { Kysely } from 'kysely'
import type { HostRow, Schema, TaskRow } from '../../database/schema.ts'
import type { Audit } from '../audit/audit-entry.ts'
import type { Clock } from '../clock.ts'
import { providerView } from '../key-providers/provider-rows.ts'
import type { Log } from '../log.ts'
import { principalNamed } from '../permissions/principal.ts'
import { Scope } from '../permissions/scope.ts'
import type { Events, HostConnection, HostConnections, HostObserver, KeyProviders, Principal } from '../ports.ts'
import type { Settings } from '../settings.ts'
import { type Assembly, assemble } from './assembly.ts'
import type { Campaigns } from './campaigns/campaigns.ts'
import { providerReferences } from './campaigns/provider-references.ts'
import { defaultTimings, type Timings, type WorkContext } from './context.ts'
import type { StatementSigner } from './erasure/erase-saga.ts'
import type { Erasures } from './erasure/erasures.ts'
import type { HostAdministration } from './hosts/host-administration.ts'
import type { HostBundles } from './hosts/host-bundles.ts'
import type { HostDumps } from './hosts/host-dumps.ts'
import { clusterOf, hostNamed } from './hosts/host-lookup.ts'
import type { HostKeyPersistences } from './hosts/key-persistence.ts'
import { checkReboot } from './hosts/reboot-check.ts'
import { checkProviderRemoval } from './hosts/removal-check.ts'
import type { KeyQuery } from './keys/key-directory.ts'
import type { KeyLives } from './keys/key-lives.ts'
import type { KeyVerification } from './keys/key-verification.ts'
import { setKeyType } from './keys/wrapping/key-type.ts'
import type { MachineDesk } from './machines/machine-desk.ts'
import type { Reconciliation } from './registration/reconciliation.ts'
import type { Registration } from './registration/registration.ts'
import type { TaskDesk } from './tasks/task-desk.ts'
import type { DiskDesk } from './vms/disk-desk.ts'
import { findProvider, findVm, hostsOfCluster } from './vms/lookup.ts'
import { moveVm } from './vms/vm-move.ts'
import { readVms } from './vms/vm-store.ts'
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
  readonly #context: WorkContext
  readonly #parts: Assembly
  readonly #stopping = new AbortController()
  readonly #started = Promise.withResolvers<void>()
  /** Whether keys are read back by themselves. */
  readonly #verifies: boolean

  constructor({ settings, signer, timings = defaultTimings, ...parts }: WorkParts) {
    const principalOf = parts.principalOf ?? ((user: string) => principalNamed(parts.database, user))
    this.#context = { ...parts, labels: settings.labels, timings, stopping: this.#stopping.signal }
    this.#parts = assemble(this.#context, { settings, signer, principalOf })
    this.#verifies = settings.keyVerification !== undefined
  }

  /** Keys' lives: who uses them, orphans, orders, approvals. */
  get keyLives(): KeyLives {
    return this.#parts.keyLives
  }

  /** Crypto-erase, and its certificates. */
  get erasures(): Erasures {
    return this.#parts.erasures
  }

  /** The encryption of hosts. */
  get hosts(): HostAdministration {
    return this.#parts.hosts
  }

  /** Core dumps that lie on hosts. */
  get dumps(): HostDumps {
    return this.#parts.dumps
  }

  /** Whether hosts keep their keys across restarts. */
  get persistences(): HostKeyPersistences {
    return this.#parts.persistences
  }

  /** Support bundles of hosts. */
  get bundles(): HostBundles {
    return this.#parts.bundles
  }

  /** VMs that lie on datastores already, and those that are to be forgotten. */
  get registration(): Registration {
    return this.#parts.registration
  }

  /** What datastores say of VMs after a restore. */
  get reconciliation(): Reconciliation {
    return this.#parts.reconciliation
  }

  /** Rekey campaigns. */
  get campaigns(): Campaigns {
    return this.#parts.campaigns
  }

  /** How the keys in use are found when they are read back. */
  get keyVerification(): KeyVerification {
    return this.#parts.keyVerification
  }

  /** Takes up what was open when the control plane stopped or died. */
  async start(): Promise<void> {
    await this.#parts.locks.forget(null)
    await this.#parts.catchUp.forget(null)
    await this.#parts.machineReports.forgetAll()
    await this.#parts.disposal.start()
    await this.#parts.runner.start()
    this.#parts.policyWatch.start()
    this.#parts.wrappingTimer.start()
    if (this.#verifies) this.#parts.keyVerification.start()
    this.#parts.keyLives.start()
    this.#parts.campaigns.start()
    this.#started.resolve()
  }

  /** Gives up what goes on, as it stands in the database, and resolves when nothing goes on any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the control plane stops'))
    await Promise.all([
      this.#parts.runner.stopped(),
      this.#parts.catchUp.stopped(),
      this.#parts.disposal.stopped(),
      this.#parts.exports.stopped(),
      this.#parts.policyWatch.stopped(),
      this.#parts.wrappingTimer.stopped(),
      this.#parts.keyVerification.stopped(),
      this.#parts.keyLives.stopped(),
      this.#parts.campaigns.stopped(),
    ])
  }

  /** Begins a task of the care for hosts. */
  async forHosts(begin: (hosts: HostAdministration) => Promise<TaskRow>): Promise<Task> {
    return this.#view(await begin(this.#parts.hosts))
  }

  /** Gives every host of a cluster another host key. */
  async rekeyHosts(principal: Principal, cluster: string, request: RekeyHosts): Promise<StartedForHosts> {
    const { tasks, skipped } = await this.#parts.hosts.rekeyCluster(principal, cluster, request)
    return { tasks: tasks.map((row) => this.#view(row)), skipped: [...skipped] }
  }

  /** Reads all keys in use back, or those of one provider. */
  async verifyKeys(principal: Principal, { provider }: VerifyKeys): Promise<Task> {
    const name = provider === undefined ? null : await findProvider(this.#context.database, provider, 'provider')
    const target: TaskTarget =
      name === null ? { kind: 'system', id: 'keys', name: 'all keys' } : { kind: 'key-provider', id: name, name }
    return this.#view(
      await this.#parts.sagas.begin({
        definition: this.#parts.verifySaga,
        target,
        state: { provider: name },
        principal,
      }),
    )
  }

  /** Says which keys a provider gives from now on; the first wrapping key is made soon after. */
  async setKeyType(principal: Principal, provider: string, request: SetKeyType): Promise<KeyProvider> {
    await setKeyType(this.#context, this.#parts.kms, provider, request, principal)
    this.#parts.wrappingTimer.wake()
    return providerView(this.#context.database, provider)
  }

  /** Has a provider take another wrapping key from now on. */
  async rotateWrappingKey(principal: Principal, provider: string): Promise<KeyProvider> {
    await this.#parts.wrapping.rotate(provider, principal)
    return providerView(this.#context.database, provider)
  }

  /** All that needs a key provider. */
  providerReferences(provider: string): Promise<ProviderReference[]> {
    return providerReferences(this.#context.database, provider)
  }

  /** Moves everything from one key provider to another. */
  async migrateProvider(principal: Principal, from: string, request: MigrateProvider): Promise<Task> {
    return this.#view(await this.#parts.migration.begin(this.#parts.sagas, from, request, principal))
  }

  /** Those that `principal` may see, by name. */
  async listVms(principal: Principal): Promise<Vm[]> {
    const { database } = this.#context
    const scope = await Scope.of(database, principal, 'System.Read')
    return (await readVms(database, { scope })).map(vmView)
  }

  async showVm(nameOrId: string): Promise<Vm> {
    return vmView(await findVm(this.#context.database, nameOrId))
  }

  /** Puts the VM into another folder of the inventory. */
  async moveVm(principal: Principal, nameOrId: string, folder: string): Promise<Vm> {
    await moveVm(this.#context, principal, nameOrId, folder)
    return this.showVm(nameOrId)
  }

  async createVm(principal: Principal, request: CreateVm): Promise<Task> {
    return this.#view(await this.#parts.requests.create(principal, request))
  }

  async deleteVm(principal: Principal, nameOrId: string): Promise<Task> {
    return this.#view(await this.#parts.requests.remove(principal, nameOrId))
  }

  /** Changes storage policies, which encrypts or decrypts. A task that succeeded at once: there is nothing to do. */
  async changePolicy(principal: Principal, nameOrId: string, request: ChangePolicy): Promise<Task> {
    return this.#view(await this.#parts.requests.changePolicy(principal, nameOrId, request))
  }

  /** Gives the VM, or parts of it, another KEK; `deep`: encrypts them anew, too. */
  async rekeyVm(principal: Principal, nameOrId: string, request: RekeyVm): Promise<Task> {
    return this.#view(await this.#parts.requests.rekey(principal, nameOrId, request))
  }

  async cloneVm(principal: Principal, nameOrId: string, request: CloneVm): Promise<Task> {
    return this.#view(await this.#parts.requests.clone(principal, nameOrId, request))
  }

  /** Whether VMs comply with their storage policies. */
  compliance(principal: Principal, query: ApplyPolicies): Promise<VmCompliance[]> {
    return this.#parts.policyWork.compliance(principal, query)
  }

  /** What bringing VMs into line with their policies would take. */
  previewPolicies(principal: Principal, request: ApplyPolicies): Promise<ApplyPlan[]> {
    return this.#parts.policyWork.preview(principal, request)
  }

  /** Brings VMs into line with their policies. */
  async applyPolicies(principal: Principal, request: ApplyPolicies): Promise<ApplyStarted> {
    const { task, plans } = await this.#parts.policyWork.apply(principal, request)
    return { task: task === null ? null : this.#view(task), plans }
  }

  /** Whether a host, or all of a cluster, can be restarted now. */
  async checkReboot(of: { readonly host: string } | { readonly cluster: string }): Promise<RebootCheckList> {
    const { database } = this.#context
    const hosts =
      'host' in of
        ? [await hostNamed(database, of.host)]
        : await hostsOfCluster(database, (await clusterOf(database, of.cluster)).id)
    return checkReboot(this.#context, this.#parts.keyVerification, hosts)
  }

  /** Unlocks all VMs that are locked, or those of a host. */
  async unlockVms(principal: Principal, { host }: UnlockVms): Promise<Task> {
    const row = host === undefined ? null : await hostNamed(this.#context.database, host)
    const target: TaskTarget =
      row === null
        ? { kind: 'system', id: 'vms', name: 'all locked VMs' }
        : { kind: 'host', id: row.id, name: row.name }
    const state = { hostId: row?.id ?? null, unlocked: 0, locked: 0 }
    return this.#view(await this.#parts.sagas.begin({ definition: this.#parts.unlockAll, target, state, principal }))
  }

  /** Fetches the VM's keys again, hands them over and has the host open the VM. */
  async unlockVm(principal: Principal, nameOrId: string): Promise<Vm> {
    await this.#parts.unlock.unlock(principal, nameOrId)
    return this.showVm(nameOrId)
  }

  /** What users do with disks. */
  get disks(): DiskDesk {
    return this.#parts.disks
  }

  /** The power of VMs, and which host runs them. */
  get machines(): MachineDesk {
    return this.#parts.machines
  }

  /** Tasks as users see and steer them. */
  get tasks(): TaskDesk {
    return this.#parts.tasks
  }

  /** The keys of one provider, as it tells of them. */
  async listKeys(principal: Principal, query: KeyQuery): Promise<Key[]> {
    return this.#parts.directory.list(query, principal)
  }

  async showKey(principal: Principal, provider: string, keyId: string): Promise<Key> {
    return this.#parts.directory.show(provider, keyId, principal)
  }

  async hostConnected(host: HostRow, connection: HostConnection): Promise<void> {
    await this.#started.promise
    // The session may be over by now, or a newer one there.
    if (this.#context.hostConnections.get(host.id) === connection) await this.#parts.catchUp.connected(host, connection)
  }

  async hostDisconnected(host: HostRow): Promise<void> {
    // It may be back already: then this is the news of the session before.
    if (this.#context.hostConnections.get(host.id) !== null) return
    this.#parts.catchUp.disconnected(host.id)
    await this.#parts.locks.forget(host)
    await this.#parts.catchUp.forget(host)
    await this.#parts.machineReports.forget(host)
  }

  async machinesReported(host: HostRow, connection: HostConnection, { machines }: MachineReport): Promise<void> {
    await this.#started.promise
    await this.#parts.machineReports.report(host, connection, machines)
  }

  async removeHost(host: HostRow, by: Principal): Promise<void> {
    const { id } = await this.#parts.hosts.remove(by, host)
    await this.#parts.runner.ended(id)
  }

  async policyChanged(name: string): Promise<void> {
    await this.#parts.policyWork.policyChanged(name)
  }

  async checkProviderRemoval(provider: string): Promise<void> {
    await checkProviderRemoval(this.#context.database, provider)
  }

  #view(row: TaskRow): Task {
    return this.#parts.tasks.view(row)
  }
}
