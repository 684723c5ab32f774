import { randomUUID } from 'node:crypto'
import { closeSync, constants, fstatSync, ftruncateSync, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { MasterSecret } from '@cryptvisor/qmp'
import { AgentError } from '../agent-error.ts'

/** Where files lie in memory alone. */
const memoryFolder = '/dev/shm'

/** statfs(2), TMPFS_MAGIC. */
const tmpfsType = 0x0102_1994

/**
 * The file by which master secrets come to a QEMU: in memory, without a name, open in QEMU from its birth to its end, and empty but for
 * the moment in which QEMU reads it. An agent that has found a QEMU again reaches it through that.
 */
export class HandoverFile implements Disposable {
  readonly descriptor: number

  private constructor(descriptor: number) {
    this.descriptor = descriptor
  }

  /** A new one, for a QEMU to be born with. Throws AgentError `io`. */
  static create(): HandoverFile {
    if (statfsSync(memoryFolder).type !== tmpfsType) {
      throw new AgentError('io', `${memoryFolder}: is no tmpfs; keys are not written to anything else: mount one there`)
    }
    const path = join(memoryFolder, `cryptvisor-${randomUUID()}`)
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const descriptor = openSync(path, flags, 0o600)
    unlinkSync(path)
    return new HandoverFile(descriptor)
  }

  /** That of the QEMU `pid`, which has it as its descriptor `number`. Throws AgentError `io` when QEMU is gone. */
  static of(pid: number, number: number): HandoverFile {
    const path = `/proc/${pid}/fd/${number}`
    let descriptor: number
    try {
      descriptor = openSync(path, constants.O_RDWR)
    } catch (cause) {
      throw new AgentError('io', `${path}: QEMU’s file for secrets cannot be opened`, { cause })
    }
    const { nlink } = fstatSync(descriptor)
    if (nlink === 0) return new HandoverFile(descriptor)
    closeSync(descriptor)
    throw new AgentError('internal', `${path}: is not the file that QEMU was born with`)
  }

  /** Holds `master` until the result is disposed of. */
  fill(master: MasterSecret): Disposable {
    master.key.expose((key) => writeSync(this.descriptor, key, 0, key.length, 0))
    return { [Symbol.dispose]: () => this.clear() }
  }

  /** Wipes and empties it. */
  clear(): void {
    const { size } = fstatSync(this.descriptor)
    if (size > 0) writeSync(this.descriptor, Buffer.alloc(size), 0, size, 0)
    ftruncateSync(this.descriptor, 0)
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor)
  }
}
