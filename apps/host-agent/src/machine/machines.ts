import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ChangePower, MachineStatus, PowerOn } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { BulkLimit } from '../operation/bulk-limit.ts'
import type { LentMachine, RunningMachines } from '../operation/lent-machine.ts'
import { agentErrorOf } from '../operation/operation-error.ts'
import { isUuid } from '../uuid.ts'
import { checkLease, readLeases, writeLeases } from './lease-record.ts'
import { Machine, type MachineSurroundings } from './machine.ts'
import { removeMachineRecord } from './machine-record.ts'
import { QemuProcess } from './qemu-process.ts'
import { recoverMachine } from './recover-machine.ts'
import { type StartContext, startMachine } from './start-machine.ts'

/** As many as a report may have. */
const machinesMax = 10_000

/** How many are started at one time, and how many QEMUs an agent that starts asks at one time. */
const startsMax = 4
const recoveriesMax = 16

interface Starting {
  readonly lease: number
  readonly started: Promise<MachineStatus>
}

export interface MachinesOptions extends StartContext {
  /** Below it each VM that runs or ran here has a folder of its own. */
  readonly folder: string
  readonly log: MachineSurroundings['log']
}

/** The VMs that run on this host, those that are being started, and those whose end is not on record elsewhere yet. */
export class Machines implements RunningMachines, AsyncDisposable {
  readonly #options: MachinesOptions
  readonly #surroundings: MachineSurroundings
  readonly #starts = new BulkLimit(startsMax)
  readonly #stopping = new AbortController()
  readonly #starting = new Map<string, Starting>()
  readonly #running = new Map<string, Machine>()
  readonly #ended = new Map<string, MachineStatus>()
  readonly #listeners = new Set<() => void>()

  private constructor(options: MachinesOptions) {
    this.#options = options
    const { now, log } = options
    this.#surroundings = { now, log, changed: () => this.#changed() }
  }

  /**
   * Takes up all that runs on this host since an agent before: asks each QEMU how its guest is, ends those whose guest never ran, and
   * learns which have ended. Rejects with what the file system says of the folder.
   */
  static async open(options: MachinesOptions): Promise<Machines> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    const machines = new Machines(options)
    const turns = new BulkLimit(recoveriesMax)
    const vmIds = (await readdir(options.folder)).filter(isUuid)
    await Promise.all(
      vmIds.map(async (vmId) => {
        using _turn = await turns.enter(machines.#stopping.signal)
        await machines.#recover(vmId)
      }),
    )
    return machines
  }

  /** How all of them are. One that is being started and has no QEMU yet is not among them. */
  get statuses(): MachineStatus[] {
    return [...Array.from(this.#running.values(), ({ status }) => status), ...this.#ended.values()]
  }

  /** Whether a VM has a QEMU here, or is about to. */
  isPoweredOn(vmId: string): boolean {
    const machine = this.#running.get(vmId)
    return this.#starting.has(vmId) || (machine !== undefined && machine.status.state !== 'off')
  }

  /** Lends the machine of a VM to one operation; `null`: it does not run here. Rejects with AgentError `vm-busy`. */
  async lend(vmId: string): Promise<LentMachine | null> {
    if (this.#starting.has(vmId)) throw new AgentError('vm-busy', `VM ${vmId} is just being started; try again`)
    await this.#settled(vmId)
    return this.#running.get(vmId)?.lend() ?? null
  }

  /** Calls `listener` after each change of a status, until the result is disposed of. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /**
   * Starts a VM, and resolves when its guest runs; of one that runs, or is being started, under the same lease gives the status. Rejects with
   * AgentError: `lease-outdated`, `vm-busy`, `key-not-held`, `machine-failed` among others; then it has no QEMU.
   */
  async powerOn(request: PowerOn): Promise<MachineStatus> {
    const { vm, lease } = request
    if (!isUuid(vm.vmId)) throw new AgentError('refused', `vmId: a VM that runs is named by a UUID`)
    await this.#settled(vm.vmId)
    const there = this.#starting.get(vm.vmId) ?? this.#running.get(vm.vmId)?.status
    if (there !== undefined) {
      if (there.lease === lease) return 'started' in there ? await there.started : there
      throw new AgentError('vm-busy', `VM ${vm.name} runs here under lease ${there.lease}, not ${lease}`)
    }
    if (this.#stopping.signal.aborted) throw this.#stopping.signal.reason
    if (this.#starting.size + this.#running.size + this.#ended.size >= machinesMax) {
      throw new AgentError('too-many', `this host runs ${machinesMax} VMs`)
    }
    const started = this.#start(request).finally(() => this.#starting.delete(vm.vmId))
    this.#starting.set(vm.vmId, { lease, started })
    return await started
  }

  /** Changes the power of a VM that runs here under this lease. Rejects with AgentError `no-such-machine`, `lease-outdated`, `machine-failed`. */
  async changePower(vmId: string, { action, lease }: ChangePower): Promise<MachineStatus> {
    await this.#starting.get(vmId)?.started.catch(() => undefined)
    await this.#settled(vmId)
    const machine = this.#running.get(vmId)
    if (machine === undefined) {
      const ended = this.#ended.get(vmId)
      if (action === 'power-off' && ended?.lease === lease) return ended
      if (action === 'power-off') await this.#endLease(vmId, lease)
      throw new AgentError('no-such-machine', `VM ${vmId} does not run on this host`)
    }
    if (machine.status.lease !== lease) {
      throw new AgentError(
        'lease-outdated',
        `VM ${machine.name} runs under lease ${machine.status.lease}, not ${lease}`,
      )
    }
    if (action === 'power-off') await this.#endLease(vmId, lease)
    return await machine.change(action)
  }

  /** The end of a machine is on record elsewhere. Rejects with AgentError `machine-runs`; fine where there is none. */
  async forget(vmId: string): Promise<void> {
    await this.#settled(vmId)
    if (this.isPoweredOn(vmId)) throw new AgentError('machine-runs', `VM ${vmId} runs on this host`)
    if (!this.#ended.delete(vmId)) return
    await removeMachineRecord(this.#folderOf(vmId))
  }

  /** What is being started is ended; what runs, runs on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new AgentError('stopping', 'this host’s agent is stopping; try again later'))
    await Promise.allSettled(Array.from(this.#starting.values(), ({ started }) => started))
    for (const machine of this.#running.values()) machine.detach()
  }

  async #start(request: PowerOn): Promise<MachineStatus> {
    const { vm, lease } = request
    const { signal } = this.#stopping
    const runFolder = this.#folderOf(vm.vmId)
    try {
      using _turn = await this.#starts.enter(signal)
      await mkdir(runFolder, { recursive: true, mode: 0o700 })
      const leases = await readLeases(runFolder)
      checkLease(vm.name, lease, leases)
      if (leases.met < lease) await writeLeases(runFolder, { ...leases, met: lease })
      await this.#requireNone(vm.name, runFolder)
      const before = this.#ended.get(vm.vmId) ?? null
      const { record, process, qmp } = await this.#startOver(request, before)
      this.#ended.delete(vm.vmId)
      this.#watch(new Machine(record, process, qmp, this.#surroundings))
      return record.status
    } catch (error) {
      const found = agentErrorOf(error)
      this.#options.log.warn({ vm: vm.vmId, lease, err: found.cause ?? found }, 'a VM was not started')
      throw found
    }
  }

  /** What a start that failed has written of itself goes again. */
  async #startOver(request: PowerOn, before: MachineStatus | null) {
    const runFolder = this.#folderOf(request.vm.vmId)
    try {
      return await startMachine(this.#options, runFolder, request, before, this.#stopping.signal)
    } catch (error) {
      this.#ended.delete(request.vm.vmId)
      await removeMachineRecord(runFolder)
      throw error
    }
  }

  /** The files may be lost; a QEMU that works here is there all the same. */
  async #requireNone(name: string, runFolder: string): Promise<void> {
    const found = await QemuProcess.find(runFolder)
    if (found !== null) throw new AgentError('vm-busy', `VM ${name}: QEMU ${found.pid} runs it here already`)
  }

  /** No start under this lease, or a lower one, is heeded any more. */
  async #endLease(vmId: string, lease: number): Promise<void> {
    if (!isUuid(vmId)) return
    const runFolder = this.#folderOf(vmId)
    await mkdir(runFolder, { recursive: true, mode: 0o700 })
    const { met, over } = await readLeases(runFolder)
    if (over < lease) await writeLeases(runFolder, { met: Math.max(met, lease), over: lease })
  }

  async #recover(vmId: string): Promise<void> {
    const { log } = this.#options
    try {
      const found = await recoverMachine(this.#folderOf(vmId), vmId, this.#surroundings)
      if (found instanceof Machine) this.#watch(found)
      else if (found !== null) this.#ended.set(vmId, found)
    } catch (error) {
      log.error({ vm: vmId, err: error }, 'what runs of a VM could not be found out')
    }
  }

  #watch(machine: Machine): void {
    const { vmId, over } = machine
    this.#running.set(vmId, machine)
    void over.then(() => {
      this.#running.delete(vmId)
      this.#ended.set(vmId, machine.status)
    })
    this.#changed()
  }

  /** A machine that is off is not among those that run any more when it resolves. */
  async #settled(vmId: string): Promise<void> {
    const machine = this.#running.get(vmId)
    if (machine?.status.state === 'off') await machine.over
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  #folderOf(vmId: string): string {
    return join(this.#options.folder, vmId)
  }
}
