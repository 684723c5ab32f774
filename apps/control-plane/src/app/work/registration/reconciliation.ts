import type { Reconciliation as Report, UnregisteredFolder, VmComparison } from '@cryptvisor/control-plane-api'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { Principal } from '../../ports.ts'
import { isRehearsed } from '../../rehearsal.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { inParallel } from '../in-parallel.ts'
import { settleKeys } from '../keys/key-rows.ts'
import { requireNoOrder } from '../keys/orders/order-store.ts'
import { requireConnection, requireIdle } from '../vms/change-request.ts'
import { requireFreeDevice } from '../vms/device-claim.ts'
import { openNow } from '../vms/lock-states.ts'
import { findVm, hostsOfCluster } from '../vms/lookup.ts'
import { authorityOf, keysOf, readVms, storeAuthority, type VmRecord } from '../vms/vm-store.ts'
import { becomesPlain, differencesOf } from './differences.ts'
import { adoptKeys, forgetUnneeded, proveFound, requireProviders } from './found-keys.ts'
import { withPolicies } from './found-policies.ts'
import { anyHostOf, browse, inspect } from './found-vm.ts'
import { registeredIn } from './registration.ts'

/** How many VMs are looked at at once. */
const concurrencyMax = 8

/**
 * Compares what the inventory says of VMs with what lies on their datastores, as after a restore of the control plane, and
 * takes over what a user accepts. Nothing of a datastore counts before it was proved and accepted.
 */
export class Reconciliation {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #again: (hostId: string) => void
  readonly #taken: (vmId: string) => Promise<void>

  /** `taken` is told of a VM that was taken over: whether it complies is to be looked at. */
  constructor(
    work: WorkContext,
    handOver: HandOver,
    again: (hostId: string) => void,
    taken: (vmId: string) => Promise<void>,
  ) {
    this.#work = work
    this.#handOver = handOver
    this.#again = again
    this.#taken = taken
  }

  /** All VMs, and the folders that hold one which is not in the inventory. */
  async report(): Promise<Report> {
    const { database } = this.#work
    const vms: VmComparison[] = []
    await inParallel(await readVms(database, {}), concurrencyMax, async (vm) => {
      vms.push(await this.#compare(vm))
    })
    const unregistered: UnregisteredFolder[] = []
    const unseen: string[] = []
    for (const datastore of await database.selectFrom('datastore').selectAll().orderBy('name').execute()) {
      if ((await anyHostOf(this.#work, datastore)) === null) {
        unseen.push(datastore.name)
        continue
      }
      const names = await registeredIn(database, datastore)
      try {
        for (const { folder, vm, problem } of (await browse(this.#work, datastore)).folders) {
          if (names.has(folder)) continue
          const { name = null, vmId = null, encrypted = null } = vm ?? {}
          unregistered.push({ datastore: datastore.name, folder, name, vmId, encrypted, problem })
        }
      } catch (error) {
        if (!(error instanceof ControlPlaneError)) throw error
        unseen.push(datastore.name)
      }
    }
    return { vms: vms.toSorted((one, other) => (one.vm < other.vm ? -1 : 1)), unregistered, unseen }
  }

  /** One VM. Throws `not-found`. */
  async compare(nameOrId: string): Promise<VmComparison> {
    return this.#compare(await findVm(this.#work.database, nameOrId))
  }

  /**
   * Makes the inventory say what the datastore says, after all was proved: the generation is the one that was shown, and newer
   * than the inventory's; every KEK can be had, and the host opens every key record. Throws `invalid` and the like; then all
   * is as it was.
   */
  async accept(principal: Principal, nameOrId: string, generation: number): Promise<void> {
    const { database } = this.#work
    const vm = await findVm(database, nameOrId)
    requireIdle(vm)
    const host = { id: vm.row.host_id, name: vm.hostName, cluster_id: vm.clusterId }
    const connection = requireConnection(this.#work, host)
    const known = authorityOf(vm)
    const said = await inspect(connection, { name: vm.datastoreName, path: vm.datastorePath }, vm.row.folder)
    requireNewer(vm, known, said, generation)
    if (becomesPlain(known, said)) requirePrivileges(principal, contentRules.acceptPlain.privileges, vm.objectPath)
    const found = { ...(await withPolicies(database, said)), name: vm.row.name }
    const keys = keysOf(found)
    await requireProviders(database, `VM ${vm.row.name}`, keys)
    const devices = new Set(known.disks.map(({ device }) => device))
    for (const { device } of found.disks) {
      if (device !== undefined && !devices.has(device)) await requireFreeDevice(database, vm.clusterId, device)
    }
    await proveFound(this.#work, this.#handOver, { host, connection }, found, principal)
    const retired = await this.#take(principal, vm, known, found)
    await forgetUnneeded(database, this.#handOver, vm.clusterId, retired)
    for (const each of await hostsOfCluster(database, vm.clusterId)) this.#again(each.id)
    if (!isRehearsed()) await this.#taken(vm.row.id)
  }

  async #take(principal: Principal, vm: VmRecord, known: VmAuthority, found: VmAuthority) {
    return this.#work.events.transaction(async (transaction, record) => {
      const now = await findVm(transaction, vm.row.id)
      requireIdle(now)
      if (now.row.generation !== known.generation) {
        throw new ControlPlaneError('vm-busy', `VM ${vm.row.name} was changed at this very moment: look, and try again`)
      }
      const keys = keysOf(found)
      // Since they were proven somebody may have ordered their end.
      await requireProviders(transaction, `VM ${found.name}`, keys)
      for (const key of keys) await requireNoOrder(transaction, key)
      await adoptKeys(transaction, { id: vm.row.id, name: vm.row.name }, keys, this.#work.clock())
      await storeAuthority(transaction, found)
      const settled = { id: vm.row.id, before: keysOf(known), used: keys }
      const retired = await settleKeys(transaction, settled, this.#work.clock())
      await transaction.updateTable('vm').set(openNow).where('id', '=', vm.row.id).execute()
      const text = `${principal.name} accepted what the datastore ${vm.datastoreName} says of VM ${vm.row.name}, which host ${vm.hostName} has opened: ${differencesOf(known, found).join('; ')}`
      const [key] = keys
      await record({
        type: 'vm.reconciled',
        vm: vm.row.name,
        host: vm.hostName,
        provider: key?.provider ?? null,
        keyId: key?.keyId ?? null,
        user: principal.name,
        text,
      })
      return retired
    })
  }

  async #compare(vm: VmRecord): Promise<VmComparison> {
    const known = authorityOf(vm)
    const { name, folder, generation } = vm.row
    const place = { vm: name, vmId: vm.row.id, datastore: vm.datastoreName, folder, generation }
    const none = { foundGeneration: null, differences: [], foundKeys: [] }
    if (vm.row.task_id !== null) {
      return { ...place, ...none, state: 'unknown', advice: `task ${vm.row.task_id} works on it: wait for its end` }
    }
    const connection = this.#work.hostConnections.get(vm.row.host_id)
    if (connection === null) {
      return { ...place, ...none, state: 'unknown', advice: `host ${vm.hostName} is not connected: start its agent` }
    }
    try {
      const found = await inspect(connection, { name: vm.datastoreName, path: vm.datastorePath }, folder)
      const differences = differencesOf(known, found)
      const state = stateOf(known, found, differences)
      const advice = adviceFor(state, vm, found)
      return { ...place, state, foundGeneration: found.generation, differences, foundKeys: keysOf(found), advice }
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      const state = stateOfFailure(error)
      return { ...place, ...none, state, differences: [error.message], advice: adviceFor(state, vm, null) }
    }
  }
}

function stateOf(known: VmAuthority, found: VmAuthority, differences: readonly string[]): VmComparison['state'] {
  if (known.vmId !== found.vmId) return 'foreign'
  if (found.generation > known.generation) return 'newer'
  if (found.generation < known.generation) return 'older'
  return differences.length === 0 ? 'same' : 'different'
}

/** What an agent says of a folder that it cannot read. */
function stateOfFailure({ cause }: ControlPlaneError): VmComparison['state'] {
  if (!(cause instanceof RestClientError)) return 'unknown'
  if (cause.answerCode === 'file-missing') return 'missing'
  return cause.answerCode === 'datastore-mismatch' ? 'damaged' : 'unknown'
}

function adviceFor(state: VmComparison['state'], vm: VmRecord, found: VmAuthority | null): string | null {
  const { name } = vm.row
  switch (state) {
    case 'same':
      return null
    case 'newer':
      return `it was changed after the backup of the control plane: read the differences, then «vm reconcile ${name} --accept»${found === null ? '' : `; needs ${keysOf(found).map(keyText).join(', ') || 'no key'}`}`
    case 'older':
    case 'different':
      return `an older or another copy lies there, and is not taken: restore the folder of generation ${vm.row.generation}`
    case 'foreign':
      return `another VM lies in its folder: «vm unregister ${name}», then «vm register ${vm.datastoreName} ${vm.row.folder}» if that one is wanted`
    case 'missing':
      return `it was deleted or moved: «vm unregister ${name}» if that is so, else mount the datastore or restore the folder`
    case 'damaged':
      return 'its vm.json cannot be read: restore the folder from a backup'
    case 'unknown':
      return 'its host could not say: see «host list», and try again'
  }
}

function requireNewer(vm: VmRecord, known: VmAuthority, said: VmAuthority, generation: number): void {
  const refuse = (text: string) =>
    new ControlPlaneError('invalid', `VM ${vm.row.name}: ${text}`, { field: 'generation' })
  if (said.vmId !== known.vmId) throw refuse(`another VM (${said.vmId}) lies in its folder`)
  if (said.generation !== generation) {
    throw refuse(
      `the datastore has generation ${said.generation} by now, not ${generation}: look at «vm reconcile ${vm.row.name}» again`,
    )
  }
  if (said.generation <= known.generation) {
    throw refuse(
      `the datastore has generation ${said.generation}, the inventory ${known.generation}: only a newer one is taken, or somebody who puts back old files could undo a rekey`,
    )
  }
}
