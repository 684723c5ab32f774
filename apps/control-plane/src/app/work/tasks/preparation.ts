import type { KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow, TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyReference, keyText } from '../../key-reference.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { type HandOver, handOverConcurrencyMax } from '../hosts/hand-over.ts'
import { isOutOfUse } from '../hosts/host-lookup.ts'
import { sendKeyError } from '../hosts/send-key-error.ts'
import { inParallel } from '../in-parallel.ts'
import { type HostKeys, isCryptoSafe } from '../keys/host-keys.ts'
import { ownerLabels } from '../keys/key-labels.ts'
import type { KeyOwner } from '../keys/key-rows.ts'
import type { Kms, Purpose } from '../keys/kms.ts'
import type { KekMaker } from '../keys/new-kek.ts'
import { Outages } from '../keys/outages.ts'
import type { WrappingKeys } from '../keys/wrapping/wrapping-keys.ts'
import { isShared } from '../keys/wrapping/wrapping-rows.ts'
import type { KeyStateCheck } from '../policies/key-state-check.ts'
import { hostDisconnected } from '../vms/change-request.ts'
import { hostsOfCluster } from '../vms/lookup.ts'
import { authorityOf, type VmRecord } from '../vms/vm-store.ts'
import { keysNeeded, operationRequest } from './operation-request.ts'
import { type OpenContext, plannedKey, type VmChange } from './task-context.ts'
import { purposeOf, type TaskRun } from './task-run.ts'
import { updateTask } from './task-store.ts'

/** What a task needs to have its keys ready. */
export interface KeyServices {
  readonly kms: Kms
  readonly maker: KekMaker
  readonly handOver: HandOver
  readonly hostKeys: HostKeys
  readonly wrapping: WrappingKeys
  readonly keyStates: KeyStateCheck
}

/**
 * Everything of a task before its host is asked to change anything (DESIGN.md, section 4, encrypt, steps 2 to 5). Each
 * step may be done again after a restart.
 */
export class Preparation {
  readonly #work: WorkContext
  readonly #keys: KeyServices
  readonly #run: TaskRun
  readonly #context: OpenContext
  readonly #row: TaskRow
  readonly #vm: VmRecord
  readonly #purpose: Purpose

  constructor(
    work: WorkContext,
    keys: KeyServices,
    run: TaskRun,
    context: OpenContext,
    task: { readonly row: TaskRow; readonly vm: VmRecord },
  ) {
    this.#work = work
    this.#keys = keys
    this.#run = run
    this.#context = context
    this.#row = task.row
    this.#vm = task.vm
    this.#purpose = { ...purposeOf(task.row, task.vm), outages: new Outages() }
  }

  /**
   * Returns when the host can be asked. Throws `ControlPlaneError` for what failed, its events recorded, and
   * `CancelledError` when the task was cancelled. `resumed`: the control plane started anew.
   */
  async makeReady(resumed: boolean): Promise<void> {
    const { key: plan, change, hostId } = this.#context
    await this.#connection(resumed)
    // A clone may come to a host that never had a key; with one that is there already, nobody else makes it safe.
    if (change.kind === 'clone-vm' && plan.kind === 'existing') {
      await this.#keys.hostKeys.makeSafe(hostId, this.#purpose)
    }
    if (plan.kind === 'existing' && encryptsMore(change))
      await this.#keys.keyStates.requireActive(plan.key, this.#purpose)
    const key = plan.kind === 'new' ? await this.#newKey(plan.provider) : plan.kind === 'existing' ? plan.key : null
    this.#run.throwIfCancelled()
    const connection = await this.#connection(resumed)
    const request = operationRequest(change, 0, authorityOf(this.#vm), key)
    const needed = keysNeeded(request)
    if (needed.length > 0) {
      await this.#run.step(`seeing to it that ${this.#vm.hostName} holds the keys`)
      await this.#keys.handOver.ensureHeld({ name: this.#vm.hostName }, connection, needed, this.#purpose)
    }
    if (!suitsLocked.has(change.kind)) await this.#throwIfLocked(connection)
    if (change.kind === 'clone-vm') await this.#throwIfClosed(connection, change.source)
    this.#run.throwIfCancelled()
  }

  async #newKey(provider: string): Promise<KeyReference> {
    await this.#makeClusterSafe()
    this.#run.throwIfCancelled()
    const vm: KeyOwner = { kind: 'vm', id: this.#vm.row.id, name: this.#vm.row.name }
    const key = this.#recordedKey() ?? (await this.#take(provider)) ?? (await this.#create(provider, vm))
    const shared = await isShared(this.#work.database, key)
    if (shared) this.#refuseSame(key)
    else await this.#keys.maker.makeReady(key, this.#purpose)
    this.#run.throwIfCancelled()
    await this.#handToCluster(key)
    this.#run.throwIfCancelled()
    if (shared) return key
    await this.#run.step('labelling the key')
    await this.#keys.kms.label(key, ownerLabels(vm, vm.id), this.#purpose)
    return key
  }

  /** The KEK that was made for the task before a restart. */
  #recordedKey(): KeyReference | null {
    return keyReference(this.#row.key_provider, this.#row.key_id)
  }

  /** The provider's wrapping key, where it gives one to many VMs. */
  async #take(provider: string): Promise<KeyReference | null> {
    await this.#run.step(`asking key provider ${provider} for a key`)
    return this.#keys.wrapping.take(provider, this.#run.id, this.#purpose)
  }

  /** Between request and now somebody may have chosen the wrapping key that the VM has. */
  #refuseSame(key: KeyReference): void {
    const { change } = this.#context
    if (change.kind !== 'shallow-rekey' || !change.oldKeys.some((old) => keyText(old) === keyText(key))) return
    const message = `VM ${this.#vm.row.name} has the wrapping key ${key.keyId} already: look, and try again`
    throw new ControlPlaneError('invalid', message)
  }

  async #create(provider: string, vm: KeyOwner): Promise<KeyReference> {
    await this.#run.step(`asking key provider ${provider} for a key`)
    return this.#keys.maker.create(provider, vm, this.#purpose, (transaction, key) =>
      updateTask(transaction, this.#run.id, { key_provider: key.provider, key_id: key.keyId }),
    )
  }

  /** The VM's own host has to be crypto-safe; another one that cannot be makes an event. */
  async #makeClusterSafe(): Promise<void> {
    await this.#run.step('making the hosts of the cluster crypto-safe')
    const { hostId, registerHost } = this.#context
    await this.#keys.hostKeys.makeSafe(hostId, this.#purpose)
    if (!registerHost) return
    const hosts = await hostsOfCluster(this.#work.database, this.#vm.clusterId)
    await this.#wantSafe(hosts)
    const others = hosts.filter(
      (host) =>
        host.id !== hostId &&
        !isCryptoSafe(host) &&
        !isOutOfUse(host) &&
        this.#work.hostConnections.get(host.id)?.cryptoSupported === true,
    )
    await inParallel(others, handOverConcurrencyMax, async (host) => {
      await this.#tolerate(() => this.#keys.hostKeys.makeSafe(host.id, this.#purpose))
    })
  }

  /** Hosts that cannot be made crypto-safe now become so when they come back. */
  async #wantSafe(hosts: readonly HostRow[]): Promise<void> {
    const missing = hosts.filter((host) => !isCryptoSafe(host) && !isOutOfUse(host)).map(({ id }) => id)
    if (missing.length === 0) return
    await this.#work.database
      .updateTable('host')
      .set({ crypto_wanted_by: this.#row.user_name })
      .where('id', 'in', missing)
      .execute()
  }

  /** The VM's own host has to take the key; another one that does not makes an event and gets it when it connects. */
  async #handToCluster(key: KeyReference): Promise<void> {
    await this.#run.step('handing the key to the hosts of the cluster')
    const hosts = await hostsOfCluster(this.#work.database, this.#vm.clusterId)
    const { hostConnections } = this.#work
    using kek = await this.#keys.kms.fetch(key, this.#purpose)
    await inParallel(hosts, handOverConcurrencyMax, async (host) => {
      const purpose = { ...this.#purpose, host: host.name }
      const connection = hostConnections.get(host.id)
      if (host.id === this.#context.hostId) {
        await this.#keys.handOver.give(host, connection, key, kek, purpose)
      } else if (connection?.cryptoSupported !== true || isCryptoSafe(host)) {
        await this.#tolerate(() => this.#keys.handOver.give(host, connection, key, kek, purpose))
      }
    })
  }

  /** What fails has made its event, and the task goes on. */
  async #tolerate(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
    }
  }

  /** The host's session. After a restart of the control plane the host is given some time to come back. */
  async #connection(resumed: boolean): Promise<HostConnection> {
    const { hostConnections, timings, stopping } = this.#work
    const connected = hostConnections.get(this.#context.hostId)
    if (connected !== null) return connected
    if (resumed) {
      await this.#run.step(`waiting for ${this.#vm.hostName} to come back`)
      const timeout = AbortSignal.timeout(timings.hostReturnMs)
      try {
        const signal = AbortSignal.any([stopping, this.#run.cancelling, timeout])
        return await hostConnections.waitFor(this.#context.hostId, signal)
      } catch (error) {
        if (!timeout.aborted) throw error
      }
    }
    const { key } = this.#context
    if (key.kind === 'none') throw hostDisconnected(this.#vm.hostName)
    const named = this.#recordedKey() ?? plannedKey(key)
    throw await sendKeyError(this.#work, this.#vm.hostName, 'disconnected', named, this.#purpose)
  }

  /** A VM that was locked may be open now that its host holds the keys; one that stays locked is left alone. */
  async #throwIfLocked(connection: HostConnection): Promise<void> {
    if (this.#vm.row.lock_state === 'locked') await this.#throwIfClosed(connection, authorityOf(this.#vm))
  }

  async #throwIfClosed(connection: HostConnection, vm: VmAuthority): Promise<void> {
    try {
      const { state, reason } = await connection.client.unlock(vm)
      if (state === 'unlocked') return
      throw new ControlPlaneError(
        'vm-locked',
        `VM ${vm.name} is locked: ${reason?.text ?? 'its host does not say why'}. Mend that, and try again`,
      )
    } catch (error) {
      if (!(error instanceof RestClientError)) throw error
      throw new ControlPlaneError('agent-failed', `host ${this.#vm.hostName}: ${error.message}`, { cause: error })
    }
  }
}

/** What may be done to a VM that is locked: it takes no key, or mends what the VM is locked for. */
const suitsLocked: ReadonlySet<VmChange['kind']> = new Set(['delete-vm', 'restore-header', 'relabel', 'detach-disk'])

/** Whether the change encrypts something under a KEK that is there already. */
function encryptsMore(change: VmChange): boolean {
  switch (change.kind) {
    case 'encrypt':
    case 'clone-vm':
      return true
    case 'add-disk':
      return change.disk.encrypted
    case 'create-vm':
    case 'import-volume':
      return change.encrypted
    case 'decrypt':
    case 'shallow-rekey':
    case 'deep-rekey':
    case 'import-disk':
    case 'restore-header':
    case 'relabel':
    case 'detach-disk':
    case 'attach-disk':
    case 'delete-vm':
      return false
  }
}
