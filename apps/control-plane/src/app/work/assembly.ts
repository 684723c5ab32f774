import type { Principal } from '../ports.ts'
import type { Settings } from '../settings.ts'
import { Campaigns } from './campaigns/campaigns.ts'
import { ProviderMigration } from './campaigns/provider-migration.ts'
import type { WorkContext } from './context.ts'
import { eraseSaga, type StatementSigner } from './erasure/erase-saga.ts'
import type { EraseState } from './erasure/erase-state.ts'
import { Erasures } from './erasure/erasures.ts'
import { HandOver } from './hosts/hand-over.ts'
import { HostAdministration } from './hosts/host-administration.ts'
import { HostBundles } from './hosts/host-bundles.ts'
import { HostCatchUp } from './hosts/host-catch-up.ts'
import { HostDumps } from './hosts/host-dumps.ts'
import { HostKeyPersistences } from './hosts/key-persistence.ts'
import { HostKeys } from './keys/host-keys.ts'
import { KeyDirectory } from './keys/key-directory.ts'
import { KeyDisposal } from './keys/key-disposal.ts'
import { KeyLives } from './keys/key-lives.ts'
import { defaultVerification, foundStateOf, KeyVerification } from './keys/key-verification.ts'
import { Kms } from './keys/kms.ts'
import { KekMaker } from './keys/new-kek.ts'
import { verifySaga } from './keys/verify-saga.ts'
import { WrappingKeys } from './keys/wrapping/wrapping-keys.ts'
import { WrappingTimer } from './keys/wrapping/wrapping-timer.ts'
import { MachineDesk } from './machines/machine-desk.ts'
import { MachineReports } from './machines/machine-reports.ts'
import { Powers } from './machines/powers.ts'
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
import { TaskDesk } from './tasks/task-desk.ts'
import { TaskRunner } from './tasks/task-runner.ts'
import { DiskDesk } from './vms/disk-desk.ts'
import { DiskExports } from './vms/disk-export.ts'
import { LockStates } from './vms/lock-states.ts'
import { unlockAllSaga } from './vms/unlock-all.ts'
import { VmRequests } from './vms/vm-requests.ts'
import { VmUnlock } from './vms/vm-unlock.ts'

/** What the parts of the work need besides their context. */
interface AssemblyOptions {
  readonly settings: Pick<Settings, 'labels' | 'keyVerification' | 'keyDestroyAfterMs'>
  readonly signer: StatementSigner
  /** A user with what they may do now. */
  readonly principalOf: (user: string) => Promise<Principal>
}

/** The parts of the work, as they know each other. */
export type Assembly = ReturnType<typeof assemble>

/**
 * Builds all parts of the work, the most general first. Where two know each other, one is told how to find the other,
 * and does so when the first task is carried out.
 */
export function assemble(context: WorkContext, { settings, signer, principalOf }: AssemblyOptions) {
  /** A host has to be brought up to date. */
  const again = (hostId: string) => catchUp.again(hostId)
  const kms = new Kms(context)
  const maker = new KekMaker(context, kms)
  const handOver = new HandOver(context, kms, again)
  const disposal = new KeyDisposal(context)
  const wrapping = new WrappingKeys(context, kms, maker, handOver, disposal)
  const wrappingTimer = new WrappingTimer(context, wrapping)
  const hostKeys = new HostKeys(context, kms, maker, handOver, disposal)
  const locks = new LockStates(context)
  const machineReports = new MachineReports(context)
  const catchUp = new HostCatchUp(context, kms, handOver, hostKeys, locks)
  const revocations = new KeyRevocations(context, handOver, again, (vm, why) => powers.stop(vm, why))
  const keyStates = new KeyStateCheck(kms, revocations)
  const compliance = new Compliance(context)
  const policyWatch = new PolicyWatch(context, revocations, compliance)
  const application = new PolicyApplication(context, compliance, principalOf, () => requests)
  const removal = layerRemoval(context, handOver)
  const keyVerification = new KeyVerification(
    context,
    settings.keyVerification ?? defaultVerification,
    async (key, finding) => {
      const state = foundStateOf(finding)
      if (state !== null) await revocations.found(key, state)
    },
    Math.random,
  )
  const unlockAll = unlockAllSaga(context, kms, handOver, locks)
  const verification = verifySaga(keyVerification)
  const erase: SagaDefinition<EraseState> = eraseSaga({
    work: context,
    kms,
    handOver,
    signer,
    runOf: (taskId) => runner.get(taskId),
  })
  const hosts = new HostAdministration(context, hostKeys, handOver, again, (hostId) => catchUp.disconnected(hostId))
  const migration = new ProviderMigration(context, () => ({ campaigns, hosts, principalOf }))
  const powers = new Powers({
    ...{ work: context, handOver, hostKeys },
    lookAgain: async (hostId, inDoubt) => {
      if (await locks.isAnyUnknown(hostId)) again(hostId)
      if (inDoubt) await machineReports.askHost(hostId)
    },
  })
  const definitions: readonly SagaDefinition<SagaState>[] = [
    ...hosts.definitions,
    ...powers.definitions,
    unlockAll,
    migration.definition,
    verification,
    application.saga,
    removal,
    erase,
  ]
  const ending = new TaskEnding(context, {
    handOver,
    hostKeys,
    disposal,
    locks,
    revocations,
    compliance,
  })
  const keys = { kms, maker, handOver, hostKeys, wrapping, keyStates }
  const runner = new TaskRunner(context, keys, ending, definitions)
  const sagas = new Sagas(context, runner)
  hosts.use(sagas)
  powers.use(sagas)
  const requests = new VmRequests(context, runner)
  const policyParts = { compliance, revocations, application, removal, sagas }
  const policyWork = new PolicyWork(context, policyParts)
  const campaigns = new Campaigns(context, requests, runner, principalOf)
  const unlock = new VmUnlock(context, handOver, locks, keyStates)
  const exports = new DiskExports(context, handOver)
  const tasks = new TaskDesk(context, runner)
  const disks = new DiskDesk(context, { requests, exports, policyWork, runner, tasks })
  const machines = new MachineDesk(context, powers, machineReports, tasks)
  const dumps = new HostDumps(context, kms)
  const persistences = new HostKeyPersistences(context)
  const bundles = new HostBundles(context, kms)
  const directory = new KeyDirectory(context, kms)
  const keyLives = new KeyLives(context, kms, settings.keyDestroyAfterMs, principalOf)
  const registration = new Registration(context, handOver, again)
  const reconciliation = new Reconciliation(context, handOver, again, (vmId) => compliance.check([vmId]))
  const erasures = new Erasures(context, keyLives.approvals, sagas, erase)
  return {
    kms,
    disposal,
    wrapping,
    wrappingTimer,
    locks,
    machineReports,
    catchUp,
    revocations,
    policyWatch,
    keyVerification,
    unlockAll,
    verifySaga: verification,
    hosts,
    migration,
    runner,
    tasks,
    disks,
    machines,
    sagas,
    requests,
    policyWork,
    campaigns,
    unlock,
    exports,
    dumps,
    persistences,
    bundles,
    directory,
    keyLives,
    registration,
    reconciliation,
    erasures,
  }
}
