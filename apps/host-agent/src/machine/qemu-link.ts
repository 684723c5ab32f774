import { setTimeout as sleep } from 'node:timers/promises'
import type { Qmp, QmpEvent } from '@cryptvisor/qmp'
import { agentErrorOf } from '../operation/operation-error.ts'
import { ConsoleLog } from './console-log.ts'
import type { QemuProcess } from './qemu-process.ts'
import { SecretHandover } from './secret-handover.ts'

/** What whoever holds a link is told. */
export interface LinkListener {
  /** There is a connection; what happened before it is to be asked for. Rejects where the QEMU is of no use: then it is connected to anew. */
  connected(qmp: Qmp): Promise<void>
  event(event: QmpEvent): void
  /** The QEMU is gone. */
  gone(): void
  /** Something to know that is no failure. */
  warn(reason: unknown, text: string): void
}

/** A QEMU that does not end by itself in this time when it is told to is killed. */
const quitMs = 5000

/** How long after its monitor closed a QEMU may take to be gone. */
const goneMs = 2000
const pollMs = 20

const reconnectMinMs = 250
const reconnectMaxMs = 30_000

/** Keeps a connection to the monitor and the console of one QEMU for as long as that lives, or until it is let go of. */
export class QemuLink {
  readonly #process: QemuProcess
  readonly #listener: LinkListener
  #qmp: Qmp | null = null
  #console: ConsoleLog | null = null
  #isDetached = false

  constructor(process: QemuProcess, listener: LinkListener) {
    this.#process = process
    this.#listener = listener
  }

  /** Begins to listen; `first` is a connection that is there already. Once. */
  begin(first: Qmp | null): void {
    void this.#attend(first)
  }

  /** The connection; `null`: there is none now. */
  get qmp(): Qmp | null {
    return this.#qmp
  }

  /** Lets go of the QEMU, which runs on. */
  detach(): void {
    this.#isDetached = true
    this.#qmp?.close()
    this.#console?.[Symbol.dispose]()
  }

  /** Ends QEMU, by its own hand if it can, so that its images are closed in good order. */
  async quit(): Promise<void> {
    try {
      await this.#qmp?.execute('quit', {}, { timeoutMs: quitMs })
    } catch {
      // It went before it answered, or is killed now.
    }
    if (!(await this.#isGoneWithin(quitMs))) await this.#process.kill()
  }

  /** Never rejects. */
  async #attend(first: Qmp | null): Promise<void> {
    for (let given = first; ; given = null) {
      const qmp = await this.#connect(given)
      if (qmp === null) break
      const reason = await qmp.closed
      this.#qmp = null
      if (this.#isDetached || (await this.#isGoneWithin(goneMs))) break
      this.#listener.warn(reason, 'the monitor of a VM was lost; connecting again')
    }
    if (!this.#isDetached) this.#listener.gone()
  }

  /** Connects, again and again; `null`: QEMU is gone, or nobody listens any more. */
  async #connect(given: Qmp | null): Promise<Qmp | null> {
    let next = given
    for (let waitMs = reconnectMinMs; ; waitMs = Math.min(waitMs * 2, reconnectMaxMs)) {
      if (this.#isDetached || !this.#process.isAlive()) return null
      try {
        const qmp = next ?? (await this.#connectAnew())
        next = null
        this.#qmp = qmp
        qmp.onEvent((event) => this.#listener.event(event))
        void this.#listen()
        await this.#listener.connected(qmp)
        return qmp
      } catch (error) {
        if (!this.#isDetached) this.#listener.warn(agentErrorOf(error), 'the QEMU of a VM does not answer')
        this.#qmp?.close()
        this.#qmp = null
      }
      await sleep(waitMs, undefined, { ref: false })
    }
  }

  /** Whoever was connected before may have been killed while it lent secrets. */
  async #connectAnew(): Promise<Qmp> {
    const qmp = await this.#process.connect()
    try {
      await new SecretHandover(this.#process.pid, qmp).takeBackAll()
      return qmp
    } catch (error) {
      qmp.close()
      throw error
    }
  }

  async #listen(): Promise<void> {
    const { runFolder } = this.#process
    try {
      this.#console?.[Symbol.dispose]()
      this.#console = await ConsoleLog.open(runFolder, (error) => {
        this.#listener.warn(error, 'the console of a VM is not kept any more')
      })
      if (this.#isDetached) this.#console[Symbol.dispose]()
    } catch (error) {
      if (this.#process.isAlive()) this.#listener.warn(error, 'the console of a VM is not kept')
    }
  }

  async #isGoneWithin(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (this.#process.isAlive()) {
      if (performance.now() >= deadline) return false
      await sleep(pollMs)
    }
    return true
  }
}
