import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from './folder.ts'

/** A TPM 2.0 of its own for a test, emulated by swtpm; its state survives restarts, as a real one's survives a reboot. */
export class TestTpm {
  readonly #folder: string
  #child: ChildProcess | null = null

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** A fresh one; it ends with the test. */
  static async start(context: TestContext): Promise<TestTpm> {
    const started = new DisposableStack()
    // Before the folder goes.
    context.after(() => started.dispose())
    const tpm = new TestTpm(join(temporaryFolder(context), 'tpm'))
    mkdirSync(tpm.#folder)
    started.defer(() => tpm.#child?.kill('SIGKILL'))
    await tpm.restart()
    return tpm
  }

  get tcti(): string {
    return `swtpm:path=${join(this.#folder, 'tpm.sock')}`
  }

  /** What a reboot of the machine does to it. */
  async restart(): Promise<void> {
    await this.stop()
    // What a killed one has left would look as if the new one listened already.
    for (const name of ['tpm.sock', 'tpm.sock.ctrl']) rmSync(join(this.#folder, name), { force: true })
    const args = ['socket', '--tpm2', '--tpmstate', `dir=${this.#folder}`, '--flags', 'not-need-init,startup-clear']
    const socket = (name: string) => `type=unixio,path=${join(this.#folder, name)}`
    const child = spawn('swtpm', [...args, '--server', socket('tpm.sock'), '--ctrl', socket('tpm.sock.ctrl')], {
      stdio: 'ignore',
    })
    await once(child, 'spawn')
    this.#child = child
    while (!existsSync(join(this.#folder, 'tpm.sock.ctrl'))) {
      if (child.exitCode !== null) throw new Error(`swtpm ended with ${child.exitCode}`)
      await sleep(10)
    }
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  }
}
