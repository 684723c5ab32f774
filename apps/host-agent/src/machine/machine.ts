import type { MachineStatus, PowerAction } from '@cryptvisor/host-agent-api'
import { type EventName, isEvent, type Qmp, type QmpEvent } from '@cryptvisor/qmp'
import { AgentError } from '../agent-error.ts'
import type { LentMachine } from '../operation/lent-machine.ts'
import { agentErrorOf } from '../operation/operation-error.ts'
import { type MachineRecord, writeMachineRecord } from './machine-record.ts'
import { blockProblemOf, brokenReason, endReasons, machineStateOf } from './machine-state.ts'
import { QemuLink } from './qemu-link.ts'
import type { QemuProcess } from './qemu-process.ts'

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
  readonly #process: QemuProcess
  readonly #surroundings: MachineSurroundings
  readonly #link: QemuLink
  readonly #isOver: () => void
  #record: MachineRecord
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
    this.#surroundings = surroundings
    this.#link = new QemuLink(process, {
      connected: () => this.#inTurn(() => this.#takeUp()),
      event: (event) => this.#hear(event),
      gone: () => void this.#end(),
      warn: (reason, text) => surroundings.log.warn({ vm: this.vmId, err: reason }, text),
    })
    this.#link.begin(qmp)
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
    this.#link.detach()
  }

  async #tell(action: Exclude<PowerAction, 'power-off'>): Promise<void> {
    const { qmp } = this.#link
    if (qmp === null) {
      throw new AgentError('machine-failed', `VM ${this.name}: its QEMU does not answer; try again later`)
    }
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
    await this.#link.quit()
    await this.over
  }

  /** There is a connection; what an agent before was killed at is brought to its end. */
  async #takeUp(): Promise<void> {
    const { qmp } = this.#link
    if (this.#record.ending !== null) return await this.#link.quit()
    if (qmp !== null && (await isHeld(qmp))) {
      // A start, of which no guest knows yet, or a reset.
      if (this.status.state === 'starting') return await this.#process.kill()
      await qmp.execute('cont')
    }
    await this.#refresh()
  }

  #hear(event: QmpEvent): void {
    if (isEvent(event, ['BLOCK_IO_ERROR'])) {
      this.#blockProblem = blockProblemOf(event, this.#record.vm?.disks ?? []) ?? this.#blockProblem
    }
    if (!isEvent(event, tellingEvents) || this.#isRefreshing) return
    this.#isRefreshing = true
    this.#inTurn(() => this.#refresh()).catch((error: unknown) => {
      if (this.#link.qmp === null || this.#isDetached) return
      this.#surroundings.log.warn({ vm: this.vmId, err: error }, 'a QEMU did not say how its guest is')
    })
  }

  async #refresh(): Promise<void> {
    // What happens from here on is asked for again.
    this.#isRefreshing = false
    const { qmp } = this.#link
    if (qmp === null) return
    const { status } = await qmp.execute('query-status')
    if (status === 'running') this.#blockProblem = null
    const now = machineStateOf(status, this.#blockProblem)
    if (now !== null) return await this.#become({ ...now, ended: null })
    if (this.#record.ending === null) await this.#keep({ ...this.#record, ending: 'guest' })
    await this.#link.quit()
  }

  /** Its QEMU is gone. */
  async #end(): Promise<void> {
    const how = await this.#process.ended()
    // Until it is known to be off nobody else starts its VM.
    await this.#loan
    const ended = this.#record.ending ?? 'broken'
    let reason: string
    if (ended === 'broken') {
      reason = brokenReason(how, await this.#process.lastWords().catch(() => null))
      this.#surroundings.log.error({ vm: this.vmId, reason }, 'the QEMU of a VM has ended, and nobody had asked for it')
    } else reason = endReasons[ended]
    await this.#become({ state: 'off', ended, reason })
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
      .then(() => writeMachineRecord(this.#process.runFolder, this.#record))
      .catch((error: unknown) => {
        this.#surroundings.log.error({ vm: this.vmId, err: error }, 'the record of a machine could not be written')
      })
    await this.#written
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
