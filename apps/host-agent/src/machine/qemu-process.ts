import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { chmod, mkdir, open, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectQmp, type Qmp, type QmpOptions } from '@cryptvisor/qmp'
import { AgentError } from '../agent-error.ts'
import { toolEnvironment } from '../process/tool.ts'
import { HandoverFile } from './handover-file.ts'
import { type MachineDescription, runFiles } from './machine-description.ts'
import { isAlive, type ProcessIdentity, processesIn, processOf } from './process-identity.ts'
import { qemuArguments } from './qemu-arguments.ts'

/** A QEMU that has not opened its monitor by then will not. */
const startTimeoutMs = 30_000

/** How often it is looked whether a process that is no child of ours is still there. */
const pollMs = 20

const logTailBytes = 4096
const qemuCommand = 'qemu-system-x86_64'

export interface QemuStart {
  readonly description: MachineDescription
  /** The VM's own folder for what lives as long as its machine; made if it is not there, 0700. */
  readonly runFolder: string
  /** Open files that are to stay open as long as QEMU lives: the lock of its VM. */
  readonly kept?: readonly number[]
  /** QEMU itself; where it is missing, what the system has. */
  readonly command?: string
  readonly qmp?: QmpOptions
}

/**
 * The process of one QEMU. It is no child that ends with us: it lives on when the agent ends, however that happens, and another agent
 * finds it again, by what it was told of it or by its working directory, which is the VM's run folder. All that it was given over its
 * monitor it still has then.
 */
export class QemuProcess {
  readonly identity: ProcessIdentity
  readonly runFolder: string
  /** Of one that we started. */
  readonly #child: ChildProcess | null

  private constructor(identity: ProcessIdentity, runFolder: string, child: ChildProcess | null) {
    this.identity = identity
    this.runFolder = runFolder
    this.#child = child
  }

  /**
   * Starts a machine whose guest does not run yet, and connects to its monitor. Rejects with AgentError `machine-failed`, which has QEMU's
   * own last words, when it does not come up; nothing is left of it then.
   */
  static async start(start: QemuStart): Promise<{ readonly process: QemuProcess; readonly qmp: Qmp }> {
    const args = qemuArguments(start.description)
    await mkdir(start.runFolder, { recursive: true, mode: 0o700 })
    await chmod(start.runFolder, 0o700)
    const runFolder = await realpath(start.runFolder)
    // Of the one before; QEMU makes its own.
    for (const name of [runFiles.monitor, runFiles.console]) await rm(join(runFolder, name), { force: true })
    const process = await QemuProcess.#spawn(start, args, runFolder)
    try {
      return { process, qmp: await process.connect(start.qmp) }
    } catch (cause) {
      await process.kill()
      throw new AgentError(
        'machine-failed',
        `QEMU does not start: ${(await process.lastWords()) ?? 'it says nothing'}`,
        { cause },
      )
    }
  }

  /** The QEMU of a run folder that some agent started; `null` when it does not live. Files in the folder are not asked. */
  static async find(runFolder: string): Promise<QemuProcess | null> {
    const folder = await realpath(runFolder).catch(() => null)
    if (folder === null) return null
    const [identity, ...others] = processesIn(folder)
    if (others.length > 0) {
      const pids = [identity, ...others].map((each) => each?.pid).join(', ')
      throw new AgentError('internal', `${folder}: several processes (${pids}) work here, where one QEMU is expected`)
    }
    return identity === undefined ? null : new QemuProcess(identity, folder, null)
  }

  get pid(): number {
    return this.identity.pid
  }

  /** Connects to its monitor, which one at a time may do. Rejects with QmpError, at once when the process ended. */
  async connect(options: QmpOptions = {}): Promise<Qmp> {
    const watch = new AbortController()
    const given = new AbortController()
    const watched = this.#untilGone(watch.signal).then((isGone) => {
      if (isGone) given.abort()
    })
    try {
      const path = join(this.runFolder, runFiles.monitor)
      return await connectQmp(path, { ...options, withinMs: startTimeoutMs, signal: given.signal })
    } finally {
      watch.abort()
      await watched
    }
  }

  /** Whether it lives. */
  isAlive(): boolean {
    return isAlive(this.identity)
  }

  /** Resolves when it ended: with what it exited with or which signal ended it, as far as that can be known of no child of ours. */
  async ended(): Promise<{ readonly exitCode: number | null; readonly signal: string | null }> {
    await this.#untilGone(null)
    return { exitCode: this.#child?.exitCode ?? null, signal: this.#child?.signalCode ?? null }
  }

  /** Ends it at once, as pulling the plug does; resolves when it is gone, and with it its locks. */
  async kill(): Promise<void> {
    if (this.isAlive()) process.kill(this.pid, 'SIGKILL')
    await this.#untilGone(null)
  }

  /** The last line that it wrote to its log; `null` when there is none. */
  async lastWords(): Promise<string | null> {
    return await lastWordsIn(this.runFolder)
  }

  /** Whether it went, or the signal said that nobody waits. */
  async #untilGone(signal: AbortSignal | null): Promise<boolean> {
    const child = this.#child
    if (child !== null) {
      if (child.exitCode !== null || child.signalCode !== null) return true
      const exit = once(child, 'exit', signal === null ? {} : { signal })
      return await exit.then(
        () => true,
        () => false,
      )
    }
    while (isAlive(this.identity)) {
      if (signal?.aborted === true) return false
      await sleep(pollMs)
    }
    return true
  }

  static async #spawn(start: QemuStart, args: readonly string[], runFolder: string): Promise<QemuProcess> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW
    await using log = await open(join(runFolder, runFiles.log), flags, 0o600)
    using handover = HandoverFile.create()
    // prlimit(1) becomes QEMU, so the process that we start is QEMU's.
    const child = spawn('prlimit', ['--core=0:0', '--', start.command ?? qemuCommand, ...args], {
      cwd: runFolder,
      detached: true,
      env: toolEnvironment,
      stdio: ['ignore', log.fd, log.fd, handover.descriptor, ...(start.kept ?? [])],
    })
    await once(child, 'spawn')
    child.unref()
    // It has a number once it was spawned. Where it ended already, no other process is taken for it.
    const pid = child.pid as number
    return new QemuProcess(processOf(pid) ?? { pid, startTime: 'none' }, runFolder, child)
  }
}

/** The last line in the log of the QEMU that works or worked in a run folder; `null` when there is none. */
export async function lastWordsIn(runFolder: string): Promise<string | null> {
  return await lastLineOf(join(runFolder, runFiles.log))
}

/** The last line of a file that is not empty; `null` where there is none. */
async function lastLineOf(path: string): Promise<string | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => null)
  if (file === null) return null
  await using _closed = file
  const { size } = await file.stat()
  const start = Math.max(0, size - logTailBytes)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(logTailBytes), 0, logTailBytes, start)
  const lines = buffer.toString('utf8', 0, bytesRead).split('\n')
  return lines.findLast((line) => line.trim() !== '')?.trim() ?? null
}
