import type { ChangePower, MachineList, MachineStatus, PowerOn } from '@cryptvisor/host-agent-api'
import type { SimulatedDatastore } from './simulated-datastore.ts'
import { refusal } from './simulated-refusal.ts'

/** The machines of one host: QEMU processes that outlive its agent. */
export class SimulatedMachines {
  /** An agent of before: it has no such routes. */
  supported = true
  /** What the next powering on fails with. */
  failWith: { readonly status: number; readonly code: string; readonly message: string } | null = null
  /** Awaited when a VM was started or changed, before that is answered. */
  onChanged: () => void | Promise<void> = () => undefined
  /** Whether guests do as they are asked. */
  obedient = true
  readonly #host: string
  readonly #datastore: SimulatedDatastore
  readonly #statuses = new Map<string, MachineStatus>()
  readonly #leases = new Map<string, number>()
  /** Of each VM on the datastore. */
  readonly #folders = new Map<string, string>()
  #now = 1_000

  constructor(host: string, datastore: SimulatedDatastore) {
    this.#host = host
    this.#datastore = datastore
  }

  copy(other: SimulatedMachines): void {
    for (const [id, status] of other.#statuses) this.#statuses.set(id, { ...status })
    for (const [id, lease] of other.#leases) this.#leases.set(id, lease)
    for (const [id, folder] of other.#folders) this.#folders.set(id, folder)
    this.#now = other.#now
  }

  list(): MachineList {
    this.#requireSupport()
    return { machines: [...this.#statuses.values()] }
  }

  /** Those whose QEMU runs. */
  get running(): string[] {
    return [...this.#statuses.values()].filter(({ state }) => state !== 'off').map(({ vmId }) => vmId)
  }

  async powerOn({ vm, lease }: PowerOn): Promise<MachineStatus> {
    this.#requireSupport()
    const { failWith } = this
    if (failWith !== null) throw refusal(failWith.status, failWith.code, failWith.message)
    if (lease < (this.#leases.get(vm.vmId) ?? 0))
      throw refusal(409, 'lease-outdated', `a newer lease than ${lease} was met`)
    const status = this.#statuses.get(vm.vmId)
    if (status !== undefined && status.state !== 'off') {
      if (status.lease === lease) return status
      throw refusal(409, 'vm-busy', `it runs under lease ${status.lease}`)
    }
    const holder = this.#datastore.runners.get(vm.folder)
    if (holder !== undefined) throw refusal(409, 'vm-busy', `vm.lock is held by ${holder}`)
    this.#leases.set(vm.vmId, lease)
    this.#datastore.runners.set(vm.folder, this.#host)
    const started = { lease, state: 'running', ended: null, reason: null } as const
    const now = this.#set(vm.vmId, started, status?.revision ?? 0, vm.folder)
    await this.onChanged()
    return now
  }

  async changePower(vmId: string, { action, lease }: ChangePower): Promise<MachineStatus> {
    this.#requireSupport()
    const status = this.#act(vmId, action, lease)
    await this.onChanged()
    return status
  }

  #act(vmId: string, action: ChangePower['action'], lease: number): MachineStatus {
    const status = this.#statuses.get(vmId)
    if (status === undefined || status.state === 'off')
      throw refusal(404, 'no-such-machine', `${vmId} does not run here`)
    if (status.lease !== lease) throw refusal(409, 'lease-outdated', `it runs under lease ${status.lease}`)
    switch (action) {
      case 'power-off':
        return this.end(vmId, 'asked')
      case 'shut-down':
        return this.obedient ? this.end(vmId, 'guest') : status
      case 'reset':
      case 'resume':
        return this.#change(status, 'running')
      case 'pause':
        return this.#change(status, 'paused')
    }
  }

  forget(vmId: string): null {
    this.#requireSupport()
    const status = this.#statuses.get(vmId)
    if (status !== undefined && status.state !== 'off') throw refusal(409, 'vm-busy', 'it runs')
    this.#statuses.delete(vmId)
    return null
  }

  /** Its QEMU ends. */
  end(vmId: string, ended: 'asked' | 'guest' | 'broken'): MachineStatus {
    const status = this.#of(vmId)
    this.#datastore.runners.delete(this.#folders.get(vmId) ?? '')
    const reason = ended === 'broken' ? 'QEMU was killed by signal 9' : null
    return this.#set(vmId, { lease: status.lease, state: 'off', ended, reason }, status.revision)
  }

  /** A disk gives errors. */
  fail(vmId: string): void {
    const status = this.#of(vmId)
    this.#set(vmId, { lease: status.lease, state: 'failed', ended: null, reason: 'disk 0: no space' }, status.revision)
  }

  /** The host loses power: nobody knows of anything. */
  loseAll(): void {
    for (const id of this.running) this.end(id, 'broken')
    this.#statuses.clear()
  }

  #of(vmId: string): MachineStatus {
    const status = this.#statuses.get(vmId)
    if (status === undefined) throw new Error(`${vmId} does not run on ${this.#host}`)
    return status
  }

  #change(status: MachineStatus, state: 'running' | 'paused'): MachineStatus {
    if (status.state === state) return status
    return this.#set(status.vmId, { lease: status.lease, state, ended: null, reason: null }, status.revision)
  }

  #set(
    vmId: string,
    change: Pick<MachineStatus, 'lease' | 'state' | 'ended' | 'reason'>,
    revision: number,
    folder?: string,
  ): MachineStatus {
    if (folder !== undefined) this.#folders.set(vmId, folder)
    const status: MachineStatus = {
      ...{ vmId, ...change, revision: revision + 1, since: this.#now++ },
      ...{ acceleration: 'tcg', qemu: '7.2.0' },
    }
    this.#statuses.set(vmId, status)
    return status
  }

  #requireSupport(): void {
    if (!this.supported) throw refusal(404, 'not-found', 'there is no such route')
  }
}
