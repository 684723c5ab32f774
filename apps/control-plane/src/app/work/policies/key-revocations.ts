import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { VmRevocationRow } from '../../../database/policy-rows.ts'
import { timeText } from '../../clock.ts'
import { keyText } from '../../key-reference.ts'
import type { NewEvent } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { KeyedLock } from '../keyed-lock.ts'
import { keysForHost } from '../keys/key-rows.ts'
import { isOn } from '../machines/machine-store.ts'
import { hostsOfCluster } from '../vms/lookup.ts'
import { authorityOf, keysOf, readVms, type VmRecord } from '../vms/vm-store.ts'
import { type KeyUserVm, revocationOf, stopOf, stopText, vmsUsing } from './revocation-rows.ts'

/** What whoever asked a provider found; `missing`: the provider does not have the key. KMIP 1.4, 9.1.3.2.17. */
export type FoundKeyState =
  | 'PreActive'
  | 'Active'
  | 'Deactivated'
  | 'Compromised'
  | 'Destroyed'
  | 'DestroyedCompromised'
  | 'missing'

const goodStates: ReadonlySet<FoundKeyState> = new Set(['PreActive', 'Active'])

const minuteMs = 60_000

/**
 * What becomes of VMs whose KEK turns out to be revoked, destroyed or gone at its provider: as their policies say, they go on
 * with an event, or they are stopped at once or after a grace. A VM that is stopped is powered off, and locked: no host has a key for
 * it, until the key is good again or the VM has another one.
 */
export class KeyRevocations {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #again: (hostId: string) => void
  readonly #powerOff: (vm: VmRecord, why: string) => Promise<unknown>
  readonly #lock = new KeyedLock()

  /**
   * `again` is told of hosts that may be given keys that they may have had to forget; `powerOff` begins to power a VM off, and does
   * nothing where a task has it or its host cannot be asked.
   */
  constructor(
    work: WorkContext,
    handOver: HandOver,
    again: (hostId: string) => void,
    powerOff: (vm: VmRecord, why: string) => Promise<unknown>,
  ) {
    this.#work = work
    this.#handOver = handOver
    this.#again = again
    this.#powerOff = powerOff
  }

  /**
   * Takes note of the state in which a key was found at its provider. To be called by whoever asks for one, as often as they do:
   * what is known already changes nothing. Not for a provider that cannot be reached or tells no states.
   */
  async found(key: KeyReference, state: FoundKeyState): Promise<void> {
    await this.#lock.run(keyText(key), async () => {
      if (goodStates.has(state)) await this.#good(key)
      else await this.#bad(key, state)
    })
  }

  /** Stops the VMs whose grace is over; those that a task has to itself come when it has ended. */
  async enforceDue(): Promise<void> {
    const due = await this.#work.database
      .selectFrom('vm_revocation')
      .selectAll()
      .where('stop_at', '<=', this.#work.clock())
      .where('stopped_at', 'is', null)
      .execute()
    for (const row of due) await this.#lock.run(keyText(keyOf(row)), () => this.#stop(row))
    await this.#powerOffStopped()
  }

  /** A VM whose host was away when it was stopped may run there still. */
  async #powerOffStopped(): Promise<void> {
    const { database } = this.#work
    const rows = await database
      .selectFrom('vm_revocation')
      .innerJoin('machine', 'machine.vm_id', 'vm_revocation.vm_id')
      .selectAll('vm_revocation')
      .where('stopped_at', 'is not', null)
      .where('machine.state', '!=', 'off')
      .execute()
    for (const row of rows) {
      const [vm] = await readVms(database, { id: row.vm_id })
      if (vm !== undefined) await this.#powerOff(vm, whyOff(row))
    }
  }

  /** The rules of policies have changed, or VMs have other ones: what is known of keys may mean something else for them. */
  async reconsider(): Promise<void> {
    const rows = await this.#work.database.selectFrom('key_revocation').selectAll().execute()
    // Written by `#bad`.
    for (const row of rows) await this.found(keyOf(row), row.state as FoundKeyState)
  }

  /** A task on a VM has ended: what it does not use any more is no news of it, and what it is denied it has no key for. */
  async settled(vmId: string): Promise<void> {
    const { database } = this.#work
    const [vm] = await readVms(database, { id: vmId })
    if (vm === undefined) return
    const used = new Set(keysOf(authorityOf(vm)).map(keyText))
    const rows = await database.selectFrom('vm_revocation').selectAll().where('vm_id', '=', vmId).execute()
    for (const row of rows) if (!used.has(keyText(keyOf(row)))) await this.#drop(row)
    for (const key of keysOf(authorityOf(vm))) {
      const known = await revocationOf(database, key)
      // Written by `#bad`.
      if (known !== null) await this.found(key, known.state as FoundKeyState)
    }
    await this.enforceDue()
    const stop = await stopOf(database, vmId)
    if (stop === null) return
    await database
      .updateTable('vm')
      .set({
        lock_state: 'locked',
        lock_text: stopText(stop),
        lock_missing_keys: JSON.stringify([keyOf(stop)]),
        lock_cause: 'key-revoked',
      })
      .where('id', '=', vmId)
      .where('task_id', 'is', null)
      .execute()
    await this.#forget(vmId)
  }

  async #bad(key: KeyReference, state: FoundKeyState): Promise<void> {
    const now = this.#work.clock()
    const revived: string[] = []
    await this.#work.events.transaction(async (transaction, record) => {
      await transaction
        .insertInto('key_revocation')
        .values({ provider: key.provider, key_id: key.keyId, state, found_at: now })
        .onConflict((conflict) => conflict.columns(['provider', 'key_id']).doUpdateSet({ state }))
        .execute()
      for (const vm of await vmsUsing(transaction, key)) {
        const { rule, policy } = vm
        const stopAt = stopTimeOf(vm, now)
        const known = await findRow(transaction, vm.id, key)
        if (known !== null) {
          if (known.rule !== rule || known.policy !== policy)
            revived.push(...(await this.#reconsider(transaction, known, vm)))
          continue
        }
        await transaction
          .insertInto('vm_revocation')
          .values({
            ...{ vm_id: vm.id, provider: key.provider, key_id: key.keyId, rule, policy },
            ...{ found_at: now, stop_at: stopAt, stopped_at: null },
          })
          .execute()
        await record(revokedEvent(vm, key, state, stopAt))
      }
    })
    await this.#stopAllDue(key)
    for (const hostId of revived) this.#again(hostId)
  }

  /** The policies say something else by now: gives the hosts to bring up to date, when a VM is not to be stopped any more. */
  async #reconsider(transaction: Database, known: VmRevocationRow, vm: KeyUserVm): Promise<string[]> {
    const { rule, policy } = vm
    const goesOn = rule === 'keep-running'
    await transaction
      .updateTable('vm_revocation')
      .set({
        ...{ rule, policy, stop_at: stopTimeOf(vm, known.found_at) },
        ...(goesOn ? { stopped_at: null } : {}),
      })
      .where('vm_id', '=', known.vm_id)
      .where('provider', '=', known.provider)
      .where('key_id', '=', known.key_id)
      .execute()
    if (!goesOn || known.stopped_at === null) return []
    return (await hostsOfCluster(transaction, vm.clusterId)).map(({ id }) => id)
  }

  async #stopAllDue(key: KeyReference): Promise<void> {
    const due = await this.#work.database
      .selectFrom('vm_revocation')
      .selectAll()
      .where('provider', '=', key.provider)
      .where('key_id', '=', key.keyId)
      .where('stop_at', '<=', this.#work.clock())
      .where('stopped_at', 'is', null)
      .execute()
    for (const row of due) await this.#stop(row)
  }

  async #good(key: KeyReference): Promise<void> {
    const { database, events } = this.#work
    if ((await revocationOf(database, key)) === null) return
    const clusters = await events.transaction(async (transaction, record) => {
      const rows = await transaction
        .deleteFrom('vm_revocation')
        .where('provider', '=', key.provider)
        .where('key_id', '=', key.keyId)
        .returningAll()
        .execute()
      await transaction
        .deleteFrom('key_revocation')
        .where('provider', '=', key.provider)
        .where('key_id', '=', key.keyId)
        .execute()
      const stopped = new Set<string>()
      for (const row of rows) {
        const [vm] = await readVms(transaction, { id: row.vm_id })
        if (vm === undefined) continue
        if (row.stopped_at !== null) stopped.add(vm.clusterId)
        const how = row.stopped_at === null ? 'it goes on' : 'it is given its keys again'
        const text = `Key ${key.keyId} of provider ${key.provider} is good again: VM ${vm.row.name} was to be stopped or told of, and ${how}`
        await record({ type: 'vm.crypto.key-restored', host: vm.hostName, vm: vm.row.name, ...key, text })
      }
      return stopped
    })
    for (const clusterId of clusters) {
      for (const host of await hostsOfCluster(database, clusterId)) this.#again(host.id)
    }
  }

  /**
   * Puts on record that a VM is stopped, unless a task has it, and has the hosts forget its keys. One that runs is powered off
   * first, and stopped when that is done; where its host cannot be asked, it gets no key any more, and is powered off when it can.
   */
  async #stop(row: VmRevocationRow): Promise<void> {
    const [running] = await readVms(this.#work.database, { id: row.vm_id })
    if (running !== undefined && isOn(running.machine)) {
      const isReached = this.#work.hostConnections.get(running.row.host_id) !== null
      await this.#powerOff(running, whyOff(row))
      if (isReached) return
    }
    const stopped = { ...row, stopped_at: this.#work.clock() }
    const key = keyOf(row)
    const isStopped = await this.#work.events.transaction(async (transaction, record) => {
      const [vm] = await readVms(transaction, { id: row.vm_id })
      if (vm === undefined || vm.row.task_id !== null) return false
      await transaction
        .updateTable('vm_revocation')
        .set({ stopped_at: stopped.stopped_at })
        .where('vm_id', '=', row.vm_id)
        .where('provider', '=', row.provider)
        .where('key_id', '=', row.key_id)
        .execute()
      const text = stopText(stopped)
      await transaction
        .updateTable('vm')
        .set({
          lock_state: 'locked',
          lock_text: text,
          lock_missing_keys: JSON.stringify([key]),
          lock_cause: 'key-revoked',
          lock_since: stopped.stopped_at,
        })
        .where('id', '=', row.vm_id)
        .execute()
      await record({ type: 'vm.crypto.stopped', host: vm.hostName, vm: vm.row.name, ...key, text })
      return true
    })
    if (isStopped) await this.#forget(row.vm_id)
  }

  /** Takes from the hosts what of the VM's keys no other VM of the cluster needs. */
  async #forget(vmId: string): Promise<void> {
    const { database } = this.#work
    const [vm] = await readVms(database, { id: vmId })
    if (vm === undefined) return
    const needed = new Set((await keysForHost(database, '', vm.clusterId)).map((each) => keyText(each.key)))
    await this.#handOver.forget(
      vm.clusterId,
      keysOf(authorityOf(vm)).filter((key) => !needed.has(keyText(key))),
    )
  }

  async #drop({ vm_id, provider, key_id }: VmRevocationRow): Promise<void> {
    await this.#work.database
      .deleteFrom('vm_revocation')
      .where('vm_id', '=', vm_id)
      .where('provider', '=', provider)
      .where('key_id', '=', key_id)
      .execute()
  }
}

const whyOff = ({ provider, key_id, policy }: VmRevocationRow) =>
  `its key ${key_id} of provider ${provider} was revoked or is gone, and policy «${policy}» has it stopped then`

async function findRow(database: Database, vmId: string, key: KeyReference): Promise<VmRevocationRow | null> {
  const row = await database
    .selectFrom('vm_revocation')
    .selectAll()
    .where('vm_id', '=', vmId)
    .where('provider', '=', key.provider)
    .where('key_id', '=', key.keyId)
    .executeTakeFirst()
  return row ?? null
}

const keyOf = (row: Pick<VmRevocationRow, 'provider' | 'key_id'>): KeyReference => ({
  provider: row.provider,
  keyId: row.key_id,
})

function stopTimeOf({ rule, graceMinutes }: KeyUserVm, now: number): number | null {
  switch (rule) {
    case 'keep-running':
      return null
    case 'stop':
      return now
    case 'stop-after-grace':
      return now + (graceMinutes ?? 0) * minuteMs
  }
}

function revokedEvent(vm: KeyUserVm, key: KeyReference, state: FoundKeyState, stopAt: number | null): NewEvent {
  const what = state === 'missing' ? 'is not there any more' : `is ${state}`
  const next =
    stopAt === null
      ? 'the VM goes on with the key that its hosts hold, and will not open after their next start'
      : vm.rule === 'stop'
        ? 'the VM is stopped'
        : `the VM is stopped at ${timeText(stopAt)} unless the key is good again by then`
  const text = `Key ${key.keyId} of provider ${key.provider}, which VM ${vm.name} needs, ${what}: as policy «${vm.policy}» says (${vm.rule}), ${next}. Bring the key back in its key server, or give the VM another one («vm rekey ${vm.name}»)`
  return { type: 'vm.crypto.key-revoked', host: vm.host, vm: vm.name, ...key, text }
}
