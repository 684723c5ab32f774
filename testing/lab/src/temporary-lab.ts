import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Lab } from './lab.ts'
import { serviceNames } from './names.ts'

/** Services that were killed may write for a moment more. */
const removal = { recursive: true, force: true, maxRetries: 10 } as const

/** What a shell shows for a program that ended by these signals. */
const interrupted = () => process.exit(130)
const terminated = () => process.exit(143)

/**
 * A lab in a new folder. Its processes and its folder go away when it is disposed of, and at the latest when this process
 * ends, by an interruption (SIGINT, SIGTERM) too: a test or a demo that fails half-way leaves nothing behind.
 */
export class TemporaryLab extends Lab implements AsyncDisposable {
  #isKept = false
  readonly #endAtOnce = () => {
    for (const name of serviceNames) this.service(name).kill()
    this.endMachines()
    rmSync(this.places.folder, removal)
  }

  /** `name` is for the folder's name. */
  constructor(name: string, say?: (text: string) => void) {
    super(mkdtempSync(join(tmpdir(), `cryptvisor-${name}-`)), say)
    process.once('exit', this.#endAtOnce).on('SIGINT', interrupted).on('SIGTERM', terminated)
  }

  /** From now on it is a lab like any other: it stays. */
  keep(): void {
    this.#isKept = true
    process.off('exit', this.#endAtOnce)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isKept) return
    await this.down()
    rmSync(this.places.folder, removal)
    process.off('exit', this.#endAtOnce).off('SIGINT', interrupted).off('SIGTERM', terminated)
  }
}
