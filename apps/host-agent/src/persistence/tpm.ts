import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { runSecretTool } from '../process/secret-tool.ts'
import { TpmWork, workFolderPrefix } from './tpm-work.ts'

/** A sealed object of a TPM: useless without that very TPM. */
export interface TpmBlob {
  readonly public: Uint8Array
  readonly private: Uint8Array
  /** The boot measurements that must be as they were, as tpm2-tools name them; `null`: none. */
  readonly pcrs: string | null
}

/** Both secrets that a TPM gives back. */
export interface TpmSecrets extends Disposable {
  readonly sealed: Secret
  readonly kept: Secret
}

/** Bytes of the secret in the TPM's own memory. */
export const keptSecretSizeBytes = 32

/** Whoever has the machine may read and write it: it is there to be overwritten. Wrong tries lock nothing. */
const ourAttributes = ['authread', 'authwrite', 'no_da']

/**
 * A TPM 2.0, through tpm2-tools (child processes). What it seals lies under a primary key of the owner hierarchy (ECC P-256), which the
 * TPM makes anew each time, the same while its owner seed is the same. Beside that it keeps one secret in its own memory (an NV index),
 * which can be overwritten for good, as a file cannot. Secrets pass through pipes, and on the TPM's bus encrypted.
 */
export class Tpm {
  readonly #tcti: string
  readonly #pcrs: string | null
  readonly #folder: string

  /** `folder`: where work folders may be made; nothing secret comes into them. */
  constructor(tcti: string, pcrs: string | null, folder: string) {
    this.#tcti = tcti
    this.#pcrs = pcrs
    this.#folder = folder
  }

  /** Why there is no TPM 2.0 that we can use; `null`: there is one. */
  async problem(): Promise<string | null> {
    using result = await runSecretTool('tpm2_getcap', ['-T', this.#tcti, 'properties-fixed'], {
      ...{ input: null, outputSizeMax: 65_536, timeoutMs: 10_000 },
    })
    if (result.exitCode === 0) return null
    if (result.errorText.includes('ENOENT')) return 'tpm2-tools are not installed on it'
    return `no TPM 2.0 answers at ${this.#tcti}`
  }

  /** Seals up to 128 bytes. Throws AgentError `io` with what the TPM said. */
  async seal(secret: Secret): Promise<TpmBlob> {
    return await this.#work(async (work) => {
      const policy = this.#pcrs === null ? [] : ['-L', work.path('policy')]
      if (this.#pcrs !== null) await work.run('tpm2_createpolicy', ['--policy-pcr', '-l', this.#pcrs, ...policy])
      // Without `userwithauth` only the policy opens it.
      const attributes = `fixedtpm|fixedparent|noda${this.#pcrs === null ? '|userwithauth' : ''}`
      const kind = ['-C', work.primary, '-g', 'sha256', '-a', attributes, ...policy]
      const files = ['-u', work.path('public'), '-r', work.path('private')]
      await work.run('tpm2_create', [...kind, ...files, '-S', work.session, '-i', '-'], secret)
      return {
        public: await readFile(work.path('public')),
        private: await readFile(work.path('private')),
        pcrs: this.#pcrs,
      }
    })
  }

  /**
   * Opens what this TPM sealed, and reads the secret kept at `index`. Throws AgentError `io`: another TPM, changed measurements, a
   * changed blob, nothing kept.
   */
  async open(blob: TpmBlob, index: number): Promise<TpmSecrets> {
    return await this.#work(async (work) => {
      await writeFile(work.path('public'), blob.public, { mode: 0o600 })
      await writeFile(work.path('private'), blob.private, { mode: 0o600 })
      const files = ['-u', work.path('public'), '-r', work.path('private'), '-c', work.path('object')]
      await work.run('tpm2_load', ['-C', work.primary, ...files])
      const policy = blob.pcrs === null ? [] : ['-p', `pcr:${blob.pcrs}`]
      using stack = new DisposableStack()
      const object = ['-c', work.path('object'), '-S', work.session]
      const sealed = stack.use(await work.open('tpm2_unseal', [...object, ...policy]))
      const size = ['-s', `${keptSecretSizeBytes}`]
      const kept = stack.use(await work.open('tpm2_nvread', [...accessTo(index, work), ...size, handle(index)]))
      const owned = stack.move()
      return { sealed, kept, [Symbol.dispose]: () => owned.dispose() }
    })
  }

  /**
   * Has the TPM keep `secret` at `index`, in place of what was there, which is gone when this resolves. Throws AgentError `refused` where
   * something of another kind lies there.
   */
  async keep(index: number, secret: Secret): Promise<void> {
    await this.#work(async (work) => {
      const found = await work.describe('tpm2_nvreadpublic', [handle(index)])
      if (found === null) {
        const shape = ['-s', `${keptSecretSizeBytes}`, '-g', 'sha256', '-a', ourAttributes.join('|')]
        await work.run('tpm2_nvdefine', ['-C', 'o', ...shape, handle(index)])
      } else if (!isOurs(found)) {
        throw new AgentError('refused', `the TPM keeps something of somebody else at NV index ${handle(index)}`)
      }
      await work.run('tpm2_nvwrite', [...accessTo(index, work), '-i', '-', handle(index)], secret)
    })
  }

  /** Has the TPM forget what it keeps at `index`; fine when nothing of ours is there. Throws AgentError `io`. */
  async forget(index: number): Promise<void> {
    await this.#work(async (work) => {
      const found = await work.describe('tpm2_nvreadpublic', [handle(index)])
      if (found !== null && isOurs(found)) await work.run('tpm2_nvundefine', ['-C', 'o', handle(index)])
    })
  }

  /** Removes what a process that was killed has left: contexts that only the TPM can read. */
  async tidyUp(): Promise<void> {
    const names = await readdir(this.#folder)
    for (const name of names.filter((each) => each.startsWith(workFolderPrefix))) {
      await rm(join(this.#folder, name), { recursive: true, force: true })
    }
  }

  async #work<Result>(act: (work: TpmWork) => Promise<Result>): Promise<Result> {
    return await TpmWork.run(this.#tcti, this.#folder, act)
  }
}

const handle = (index: number) => `0x${index.toString(16)}`

/** The index's own authorization, which is empty, in the session that encrypts. */
const accessTo = (index: number, work: TpmWork) => ['-C', handle(index), '-P', `session:${work.session}`]

/** Others keep things in the same TPM, and theirs is not ours to overwrite. */
function isOurs(description: string): boolean {
  const attributes = /attributes:\s*friendly: (\S+)/.exec(description)?.[1]?.split('|') ?? []
  const size = /^\s*size: (\d+)$/m.exec(description)?.[1]
  return (
    size === `${keptSecretSizeBytes}` &&
    ourAttributes.every((name) => attributes.includes(name)) &&
    attributes.every((name) => name === 'written' || ourAttributes.includes(name))
  )
}
