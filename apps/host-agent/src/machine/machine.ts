import { setTimeout as sleep } from 'node:timers/promises'
import type { MachineStatus, PowerAction } from '@cryptvisor/host-agent-api'
import { type EventName, isEvent, type Qmp, type QmpEvent } from '@cryptvisor/qmp'
import { AgentError } from '../agent-error.ts'
import type { LentMachine } from '../operation/lent-machine.ts'
import { agentErrorOf } from '../operation/operation-error.ts'
import { ConsoleLog } from './console-log.ts'
import { type MachineRecord, writeMachineRecord } from './machine-record.ts'
import { blockProblemOf, brokenReason, machineStateOf } from './machine-state.ts'
import type { QemuProcess } from './qemu-process.ts'
import { SecretHandover } from './secret-handover.ts'

/** What a machine has of the agent. */
export interface MachineSurroundings {
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly log: {
    info(fields: object, text: string): void
    warn(fields: object, text: string): void
    error(fields: object, text: string): void
  }
  /** Told after each change of its status. */
  readonly changed: () => void
}

/** A QEMU that does not end by itself in this time when it is told to is killed. */
const quitMs = 5000

/** How long after its monitor closed a QEMU may take to be gone. */
const goneMs = 2000
const pollMs = 20

const reconnectMinMs = 250
const reconnectMaxMs = 30_000

/** A reset takes QEMU milliseconds. */
const resetMs = 10_000

/** After these QEMU is asked how its guest is. */
const tellingEvents: readonly EventName[] = [
  ...(['STOP', 'RESUME', 'SHUTDOWN', 'RESET', 'SUSPEND', 'WAKEUP'] as const),
  ...(['WATCHDOG', 'GUEST_PANICKED', 'BLOCK_IO_ERROR'] as const),
]

/** One QEMU whose guest runs, or ran: watched, told what to do, and known how it ended. It lives on when the agent ends. */
export class Machine {
  readonly vmId: string
  /** Resolves when its QEMU is gone and that is on record; never when `detach` came before. */
  readonly over: Promise<void>
  readonly #runFolder: string
  readonly #process: QemuProcess
  readonly #surroundings: MachineSurroundings
  readonly #isOver: () => void
  #record: MachineRecord
  #qmp: Qmp | null = null
  #console: ConsoleLog | null = null
  #blockProblem: string | null = null
  #isRefreshing = false
  #isDetached = false
  /** Resolves when the operation that has it gives it back. */
  #loan: Promise<void> | null = null
  #last: Promise<unknown> = Promise.resolve()
  #written: Promise<void> = Promise.resolve()

  /** Watches a QEMU that `record` is of from now on; `qmp` is a connection to it, `null`: one is made. */
  constructor(record: MachineRecord, process: QemuProcess, qmp: Qmp | null, surroundings: MachineSurroundings) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.over = promise
    this.#isOver = resolve
    this.vmId = record.status.vmId
    this.#record = record
    this.#process = process
    this.#runFolder = process.runFolder
    this.#surroundings = surroundings
    void this.#attend(qmp)
  }

  get status(): MachineStatus {
    return this.#record.status
  }

  /** The VM's name, for texts. */
  get name(): string {
    return this.#record.vm?.name ?? this.vmId
  }

  /**
   * Does what users ask for. `power-off` resolves when QEMU is gone, the others when QEMU has done its part; gives the status then. Rejects
   * with AgentError `machine-failed`.
   */
  async change(action: PowerAction): Promise<MachineStatus> {
    if (action === 'power-off') await this.#powerOff()
    else await this.#inTurn(() => this.#tell(action))
    return this.status
  }

  /** Lends it to one operation. Throws AgentError `vm-busy`. */
  lend(): LentMachine {
    const refuse = (text: string) => new AgentError('vm-busy', `VM ${this.name}: ${text}`)
    const { vm } = this.#record
    if (this.#loan !== null) throw refuse('another operation works on it; wait until it is done')
    if (vm === null) throw refuse('this host’s agent does not know any more what it runs of it; power it off first')
    if (!this.#process.isAlive()) throw refuse('its QEMU has just ended; try again')
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#loan = promise
    return {
      vm,
      becomes: async (next) => await this.#keep({ ...this.#record, vm: next }),
      [Symbol.dispose]: () => {
        this.#loan = null
        resolve()
      },
    }
  }

  /** Lets go of the QEMU, which runs on. */
  detach(): void {
    this.#isDetached = true
    this.#qmp?.close()
    this.#console?.[Symbol.dispose]()
  }

  /** Asks QEMU how its guest is; resolves when the status says so. */
  async refresh(): Promise<void> {
    await this.#inTurn(() => this.#refresh())
  }

  async #tell(action: Exclude<PowerAction, 'power-off'>): Promise<void> {
    const qmp = this.#qmp
    if (qmp === null)
      throw new AgentError('machine-failed', `VM ${this.name}: its QEMU does not answer; try again later`)
    switch (action) {
      case 'shut-down':
        await qmp.execute('system_powerdown')
        break
      case 'reset': {
        const since = qmp.mark()
        await qmp.execute('system_reset')
        await qmp.event('RESET', { since, timeoutMs: resetMs })
        // A guest that was held, by an error or by us, begins anew all the same.
        await qmp.execute('cont')
        break
      }
      case 'pause':
        await qmp.execute('stop')
        break
      case 'resume': {
        const { status } = await qmp.execute('query-status')
        await qmp.execute(status === 'suspended' ? 'system_wakeup' : 'cont')
        break
      }
    }
    await this.#refresh()
  }

  async #powerOff(): Promise<void> {
    if (this.status.state === 'off') return
    await this.#keep({ ...this.#record, ending: 'asked' })
    await this.#quit()
    await this.over
  }

  /** Ends QEMU, by its own hand if it can, so that its images are closed in good order. */
  async #quit(): Promise<void> {
    try {
      await this.#qmp?.execute('quit', {}, { timeoutMs: quitMs })
    } catch {
      // It went before it answered, or is killed now.
    }
    if (!(await this.#isGoneWithin(quitMs))) await this.#process.kill()
  }

  /** Watches until the QEMU is gone, or nobody watches any more. Never rejects. */
  async #attend(first: Qmp | null): Promise<void> {
    if (first !== null) {
      this.#adopt(first)
      // Of what happened before we listened, and of a reset that nobody is left to end.
      this.#inTurn(() => this.#letGoOn(first)).catch(() => first.close())
      this.#refreshSoon()
    }
    for (let qmp = first ?? (await this.#connect()); qmp !== null; qmp = await this.#connect()) {
      const reason = await qmp.closed
      this.#qmp = null
      if (this.#isDetached) return
      if (await this.#isGoneWithin(goneMs)) break
      this.#surroundings.log.warn(
        { vm: this.vmId, reason: reason.message },
        'the monitor of a VM was lost; connecting again',
      )
    }
    if (!this.#isDetached) await this.#end()
  }

  /** Connects to the monitor, again and again; `null`: QEMU is gone, or nobody watches any more. */
  async #connect(): Promise<Qmp | null> {
    for (let waitMs = reconnectMinMs; ; waitMs = Math.min(waitMs * 2, reconnectMaxMs)) {
      if (this.#isDetached || !this.#process.isAlive()) return null
      try {
        const qmp = await this.#process.connect()
        this.#adopt(qmp)
        await new SecretHandover(this.#process.pid, qmp).takeBackAll()
        await this.#letGoOn(qmp)
        await this.refresh()
        return qmp
      } catch (error) {
        this.#surroundings.log.warn(
          { vm: this.vmId, reason: agentErrorOf(error).message },
          'the QEMU of a VM does not answer',
        )
        this.#qmp?.close()
        this.#qmp = null
      }
      await sleep(waitMs, undefined, { ref: false })
    }
  }

  /** Nobody is left to end what an agent before was killed at: a start, of which no guest knows, or a reset. */
  async #letGoOn(qmp: Qmp): Promise<void> {
    if (!(await isHeld(qmp))) return
    if (this.status.state === 'starting') await this.#process.kill()
    else await qmp.execute('cont')
  }

  #adopt(qmp: Qmp): void {
    this.#qmp = qmp
    this.#listen().catch((error: unknown) => {
      this.#surroundings.log.warn({ vm: this.vmId, err: error }, 'the console of a VM is not kept')
    })
    qmp.onEvent((event) => this.#hear(event))
  }

  async #listen(): Promise<void> {
    this.#console?.[Symbol.dispose]()
    this.#console = await ConsoleLog.open(this.#runFolder, (error) => {
      this.#surroundings.log.warn({ vm: this.vmId, err: error }, 'the console of a VM is not kept any more')
    })
    if (this.#isDetached || this.status.state === 'off') this.#console[Symbol.dispose]()
  }

  #hear(event: QmpEvent): void {
    if (isEvent(event, ['BLOCK_IO_ERROR'])) {
      this.#blockProblem = blockProblemOf(event, this.#record.vm?.disks ?? []) ?? this.#blockProblem
    }
    if (isEvent(event, tellingEvents)) this.#refreshSoon()
  }

  #refreshSoon(): void {
    if (this.#isRefreshing) return
    this.#isRefreshing = true
    this.refresh().catch((error: unknown) => {
      if (this.#qmp === null || this.#isDetached) return
      this.#surroundings.log.warn(
        { vm: this.vmId, reason: agentErrorOf(error).message },
        'a QEMU did not say how its guest is',
      )
    })
  }

  async #refresh(): Promise<void> {
    // What happens from here on is asked for again.
    this.#isRefreshing = false
    const qmp = this.#qmp
    if (qmp === null) return
    const { status } = await qmp.execute('query-status')
    if (status === 'running') this.#blockProblem = null
    const now = machineStateOf(status, this.#blockProblem)
    if (now !== null) return await this.#become({ ...now, ended: null })
    if (this.#record.ending === null) await this.#keep({ ...this.#record, ending: 'guest' })
    await this.#quit()
  }

  /** Its QEMU is gone. */
  async #end(): Promise<void> {
    const how = await this.#process.ended()
    // Until it is known to be off nobody else starts its VM.
    await this.#loan
    const { ending } = this.#record
    if (ending === 'asked') await this.#become({ state: 'off', ended: 'asked', reason: 'it was powered off' })
    else if (ending === 'guest') await this.#become({ state: 'off', ended: 'guest', reason: 'its guest shut down' })
    else {
      const reason = brokenReason(how, await this.#process.lastWords().catch(() => null))
      this.#surroundings.log.error({ vm: this.vmId, reason }, 'the QEMU of a VM has ended, and nobody had asked for it')
      await this.#become({ state: 'off', ended: 'broken', reason })
    }
    this.#isOver()
  }

  async #become(change: Pick<MachineStatus, 'state' | 'ended' | 'reason'>): Promise<void> {
    const { status } = this.#record
    if (status.state === 'off' || (status.state === change.state && status.reason === change.reason)) return
    const now = this.#surroundings.now()
    const since = status.state === change.state ? status.since : now
    const next = { ...status, ...change, since, revision: nextRevision(status, now) }
    const written = this.#keep({ ...this.#record, status: next })
    this.#surroundings.log.info({ vm: this.vmId, state: change.state, reason: change.reason }, 'a VM’s machine changed')
    this.#surroundings.changed()
    await written
  }

  /** True at once, and on disk when it resolves. What cannot be written down is true all the same. */
  async #keep(record: MachineRecord): Promise<void> {
    this.#record = record
    this.#written = this.#written
      .then(() => writeMachineRecord(this.#runFolder, this.#record))
      .catch((error: unknown) => {
        this.#surroundings.log.error({ vm: this.vmId, err: error }, 'the record of a machine could not be written')
      })
    await this.#written
  }

  async #isGoneWithin(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (this.#process.isAlive()) {
      if (performance.now() >= deadline) return false
      await sleep(pollMs)
    }
    return true
  }

  async #inTurn(action: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(action)
    this.#last = turn.catch(() => undefined)
    await turn.catch((error: unknown) => {
      throw agentErrorOf(error)
    })
  }
}

/** Whether the guest of a QEMU waits for its first `cont`, after a start or a reset. */
export async function isHeld(qmp: Qmp): Promise<boolean> {
  return (await qmp.execute('query-status')).status === 'prelaunch'
}

/** The revision that follows; at least the time, so that it grows also where the record was lost. */
export function nextRevision(status: Pick<MachineStatus, 'revision'> | null, now: number): number {
  return Math.max((status?.revision ?? 0) + 1, now)
}
