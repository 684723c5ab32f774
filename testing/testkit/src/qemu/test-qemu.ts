import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Duplex, type Readable } from 'node:stream'
import { isInstalled } from '../installed.ts'

const command = 'qemu-system-x86_64'

/** Why a test with a QEMU is skipped; `false` when it is installed. */
export const qemuSkip: string | false = isInstalled(command)
  ? false
  : 'qemu-system-x86_64 is not installed (apt install qemu-system-x86)'

/**
 * A QEMU of a test's own, whose monitor and first serial line are this process's ends of sockets that nobody else sees. It dies with this
 * process, however that ends. Dispose of it to end it.
 */
export class TestQemu implements AsyncDisposable {
  readonly pid: number
  readonly monitor: Duplex
  readonly console: Duplex
  readonly #process: ChildProcess
  readonly #exit: Promise<unknown>
  #output = ''

  private constructor(child: ChildProcess, pid: number) {
    this.#process = child
    this.pid = pid
    this.#exit = once(child, 'exit')
    this.monitor = duplexOf(child, 3)
    this.console = duplexOf(child, 4)
    for (const output of [child.stdout, child.stderr]) {
      output?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
  }

  /**
   * Starts one with these arguments beside those of the monitor and the serial line; `descriptors` of ours become its fifth and those that
   * follow.
   */
  static async start(args: readonly string[], descriptors: readonly number[] = []): Promise<TestQemu> {
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', command, '-nodefaults', '-no-user-config', '-display', 'none'],
        ...['-chardev', 'socket,id=monitor,fd=3', '-mon', 'chardev=monitor,mode=control'],
        ...['-chardev', 'socket,id=console,fd=4', '-serial', 'chardev:console'],
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', ...descriptors] },
    )
    await once(child, 'spawn')
    // It has one once it was spawned.
    return new TestQemu(child, child.pid as number)
  }

  /** What it printed; the answers of `qemu-io` are there. */
  get output(): string {
    return this.#output
  }

  /** Resolves when it ended. */
  async ended(): Promise<void> {
    await this.#exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exit
  }
}

/** Node makes sockets for pipes of its children. */
function duplexOf(child: ChildProcess, fd: number): Duplex {
  const stream: Readable | unknown = child.stdio[fd]
  if (stream instanceof Duplex) return stream
  throw new Error(`descriptor ${fd} is no socket`)
}
