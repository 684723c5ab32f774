import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { guestReadyWord } from './guest-scripts.ts'

const bootTimeoutMs = 60_000
const commandTimeoutMs = 30_000
const textSizeMax = 1_048_576

/** The shell on a guest's serial line. */
export class GuestConsole {
  readonly #stream: Duplex
  #text = ''
  #changed = Promise.withResolvers<void>()
  #isOver = false

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.setEncoding('latin1')
    stream.on('data', (text: string) => {
      this.#text = (this.#text + text).slice(-textSizeMax)
      this.#wake()
    })
    stream.on('error', () => undefined)
    stream.on('close', () => {
      this.#isOver = true
      this.#wake()
    })
  }

  /** Resolves when the guest has booted to its shell. Not for one that has done so before we listened. */
  async ready(): Promise<void> {
    await this.#until(new RegExp(guestReadyWord), bootTimeoutMs)
  }

  /** Runs a command of the shell and resolves with what it printed; rejects when it fails, or the guest is not there any more. */
  async run(command: string, timeoutMs = commandTimeoutMs): Promise<string> {
    const { exitCode, output } = await this.tryRun(command, timeoutMs)
    if (exitCode === 0) return output
    throw new Error(`in the guest, ${command}: exit code ${exitCode}: ${output}`)
  }

  /** As `run`, for commands that may fail. */
  async tryRun(command: string, timeoutMs = commandTimeoutMs): Promise<{ exitCode: number; output: string }> {
    const nonce = randomBytes(6).toString('hex')
    // Said in two pieces, so that an echo of the command is not taken for its end.
    this.#stream.write(`echo BEGIN-'${nonce}'; { ${command}\n}; echo END-'${nonce}'-$?\n`)
    const [, output = '', exitCode] = await this.#until(
      new RegExp(`BEGIN-${nonce}\\r?\\n([^]*?)END-${nonce}-(\\d+)`),
      timeoutMs,
    )
    return { exitCode: Number(exitCode), output: output.replaceAll('\r', '').trim() }
  }

  /** What came of late, for when a test fails. */
  get tail(): string {
    return this.#text.slice(-400)
  }

  async #until(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const isLate = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => isLate.resolve(true), timeoutMs)
    try {
      for (;;) {
        const found = pattern.exec(this.#text)
        if (found !== null) {
          this.#text = this.#text.slice(found.index + found[0].length)
          return found
        }
        if (this.#isOver) throw new Error(`the guest’s serial line ended; at last it said: ${this.tail}`)
        if ((await Promise.race([this.#changed.promise, isLate.promise])) === true) {
          throw new Error(`the guest did not say ${pattern} in ${timeoutMs} ms; at last it said: ${this.tail}`)
        }
      }
    } finally {
      clearTimeout(timer)
    }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}
