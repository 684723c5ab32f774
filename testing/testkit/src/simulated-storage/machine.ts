import { errno } from '@cryptvisor/storage'
import type { Disk, FileSystem } from './disk.ts'
import type { DiskEvent } from './disk-event.ts'
import { type FaultOutcome, Faults, PowerCut, type StorageCall } from './fault.ts'

/** An event of any kind without what the machine itself adds. */
type EventWithoutTime = DiskEvent extends infer Event
  ? Event extends DiskEvent
    ? Omit<Event, 'modifiedNs'>
    : never
  : never

/** A running machine: its disk, what it did to it, and what is held open. Ends with the power. */
export class Machine {
  readonly disk: Disk
  readonly trace: DiskEvent[] = []
  readonly faults: Faults = new Faults()
  /** Nodes with a lock, and the open file that has it. */
  readonly locks: Map<number, object> = new Map()
  /** Devices that are open for writing. */
  readonly writers: Set<number> = new Set()
  /** How many open files and folders each node has. */
  readonly #opened = new Map<number, { readonly count: number; readonly fileSystem: number | null }>()
  readonly #nowNs: () => bigint
  #callCount = 0
  #stopAt = Number.POSITIVE_INFINITY

  constructor(disk: Disk, nowNs: () => bigint) {
    this.disk = disk
    this.#nowNs = nowNs
  }

  /** From that many events on nothing works any more. */
  stopAt(eventCount: number): void {
    this.#stopAt = eventCount
  }

  /** Begins a call, which fails where it is to fail; gives what else is to become of it. */
  call(call: Omit<StorageCall, 'callCount' | 'eventCount'>): Exclude<FaultOutcome, { code: string }> | null {
    if (this.trace.length >= this.#stopAt) throw new PowerCut()
    const outcome = this.faults.take({ ...call, callCount: this.#callCount++, eventCount: this.trace.length })
    if (outcome === null || !('code' in outcome)) return outcome
    throw errno(outcome.code, `${call.kind} ${call.path}`)
  }

  change(event: EventWithoutTime): void {
    const timed: DiskEvent = { ...event, modifiedNs: this.#nowNs() }
    this.disk.apply(timed)
    this.trace.push(timed)
  }

  /** Somebody opened a node, of the file system with this root; `null` for a device. */
  opened(node: number, fileSystem: number | null): void {
    this.#opened.set(node, { count: (this.#opened.get(node)?.count ?? 0) + 1, fileSystem })
  }

  closed(node: number): void {
    const held = this.#opened.get(node)
    if (held !== undefined && held.count > 1) this.#opened.set(node, { ...held, count: held.count - 1 })
    else this.#opened.delete(node)
  }

  /** How much room a file system has left: removed files take theirs until they are closed. */
  freeBytes({ root, capacityBytes }: FileSystem): number {
    const nodes = this.disk.below(root)
    for (const [node, { fileSystem }] of this.#opened) if (fileSystem === root) nodes.add(node)
    return Math.max(0, capacityBytes - this.disk.usedBytes(nodes))
  }
}
