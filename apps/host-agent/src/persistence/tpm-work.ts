import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { runSecretTool } from '../process/secret-tool.ts'

/** TPM 2.0 Library, part 2, 11.1.14: MAX_SYM_DATA, what a sealed object holds at most. */
const sealedSizeMax = 128

/** Of tools that print no secret. */
const printedSizeMax = 65_536

/** What folders for contexts begin with. A process that was killed leaves one behind, with what only the TPM can read. */
export const workFolderPrefix = 'tpm-'

/**
 * One piece of work with a TPM: a folder for contexts, a primary key of the owner hierarchy, and a session that is salted to it and
 * encrypts what passes over the TPM's bus.
 */
export class TpmWork {
  readonly #tcti: string
  readonly #folder: string

  private constructor(tcti: string, folder: string) {
    this.#tcti = tcti
    this.#folder = folder
  }

  /** Does it, and leaves nothing behind, in `folder` or in the TPM. Throws AgentError `io` with what the TPM said. */
  static async run<Result>(tcti: string, folder: string, act: (work: TpmWork) => Promise<Result>): Promise<Result> {
    const workFolder = await mkdtemp(join(folder, workFolderPrefix))
    const work = new TpmWork(tcti, workFolder)
    try {
      await work.run('tpm2_createprimary', ['-C', 'o', '-g', 'sha256', '-G', 'ecc', '-c', work.primary])
      await work.run('tpm2_startauthsession', ['--hmac-session', '-c', work.primary, '-S', work.session])
      try {
        await work.run('tpm2_sessionconfig', [work.session, '--enable-encrypt', '--enable-decrypt'])
        return await act(work)
      } finally {
        await work.#forget(work.session)
      }
    } finally {
      // An emulator has no resource manager that does that, and room for three objects.
      if (tcti.startsWith('swtpm:')) await work.#forget('-t')
      await rm(workFolder, { recursive: true, force: true })
    }
  }

  /** The primary key's context. */
  get primary(): string {
    return this.path('primary')
  }

  /** The session's context. */
  get session(): string {
    return this.path('session')
  }

  path(name: string): string {
    return join(this.#folder, name)
  }

  /** Runs a tool that prints no secret. */
  async run(command: string, args: readonly string[], input: Secret | null = null): Promise<void> {
    using output = await this.#call(command, ['-Q', ...args], input, printedSizeMax)
    void output
    if (this.#tcti.startsWith('swtpm:')) await this.#forget('-t')
  }

  /** Runs a tool that prints a secret; the caller disposes of it. */
  async open(command: string, args: readonly string[]): Promise<Secret> {
    return await this.#call(command, args, null, sealedSizeMax)
  }

  /** What a tool prints; `null` when the TPM knows no such handle. */
  async describe(command: string, args: readonly string[]): Promise<string | null> {
    using result = await runSecretTool(command, ['-T', this.#tcti, ...args], {
      ...{ input: null, outputSizeMax: printedSizeMax },
    })
    if (result.exitCode === 0) return result.output.expose((bytes) => Buffer.from(bytes).toString('utf8'))
    if (handleUnknown.test(result.errorText)) return null
    throw failed(command, result.errorText)
  }

  /** Whether that works or not says nothing about what was done before. */
  async #forget(what: string): Promise<void> {
    const args = ['-T', this.#tcti, what]
    using result = await runSecretTool('tpm2_flushcontext', args, { input: null, outputSizeMax: printedSizeMax })
    void result
  }

  async #call(command: string, args: readonly string[], input: Secret | null, outputSizeMax: number): Promise<Secret> {
    const result = await runSecretTool(command, ['-T', this.#tcti, ...args], { input, outputSizeMax })
    if (result.exitCode === 0) return result.output
    result[Symbol.dispose]()
    throw failed(command, result.errorText)
  }
}

/** TPM 2.0 Library, part 2, 6.6.3: TPM_RC_HANDLE of the first handle. */
const handleUnknown = /\(0x0*18b\)/i

/** The tools say the reason first and what they were about to do last. */
function failed(command: string, text: string): AgentError {
  const lines = text.split('\n').filter((each) => each.startsWith('ERROR'))
  const reason = (lines.length > 0 ? lines : [text]).slice(0, 3).join(' ').slice(0, 500)
  return new AgentError('io', `${command} failed: ${reason}`)
}
