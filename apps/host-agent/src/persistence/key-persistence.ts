import type { KeyPersistence as KeyPersistenceStatus, KeyReference } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { type KeyCache, type KeyLoan, kidOf } from '../key-cache.ts'
import { KeyFile, nvIndexOf } from './key-file.ts'
import {
  encodePersistedKeys,
  fileKeyOf,
  openPersistedKeys,
  type ParsedKeys,
  type PersistedKey,
  parsePersistedKeys,
} from './persisted-keys.ts'
import { keptSecretSizeBytes, type Tpm, type TpmBlob } from './tpm.ts'

const sealedSecretSizeBytes = 32

const dayMs = 86_400_000

/** What is older than this is written again when the control plane is heard, so that its time begins anew. */
const confirmedMs = dayMs

/** A clock that is this much behind the file was set back. */
const clockBackMax = dayMs

export interface KeyPersistenceOptions {
  readonly folder: string
  readonly hostId: string
  readonly tpm: Tpm
  readonly keys: KeyCache
  now(): number
  warn(fields: object, text: string): void
}

/** What the file is sealed under. */
interface FileKey {
  readonly sealed: Secret
  readonly blob: TpmBlob
  /** In the TPM's own memory; another one after each removal. */
  readonly kept: Secret
}

/**
 * Keeps the KEKs across restarts in one file that only this host's TPM opens. Off until the control plane switches it on. What was
 * added is written soon. What was removed is gone for good when `removed` resolves, and so is a longer time when `enable` with a shorter
 * one does: the TPM then keeps another secret, so that older copies of the file do not open either.
 */
export class KeyPersistence implements AsyncDisposable {
  readonly #options: KeyPersistenceOptions
  readonly #file: KeyFile
  readonly #nvIndex: number
  #keepDays: number | null = null
  #fileKey: FileKey | null = null
  /** What the file has (`kidOf`); `null`: nothing, or nobody knows. */
  #written: ReadonlySet<string> | null = null
  #writtenAtMs = 0
  #tpmProblem: string | null = null
  #problem: string | null = null
  /** Something may lie on the disk or in the TPM that `disable` has to erase. */
  #mayHoldKeys = false
  /** Changes since the start, and up to which of them the file is; of these, removals. */
  #changeCount = 0
  #writtenCount = 0
  #removalCount = 0
  #erasedCount = 0
  /** The one thing that is done with file and TPM now: they are written, or opened. */
  #work: Promise<void> | null = null
  /** What was removed since they began to be opened (`kidOf`), and the file has still; `null`: they are not being opened. */
  #removedMeanwhile: Set<string> | null = null
  /** Switching on and off, one after the other. */
  #turn: Promise<void> = Promise.resolve()

  private constructor(options: KeyPersistenceOptions) {
    this.#options = options
    this.#file = new KeyFile(options.folder)
    this.#nvIndex = nvIndexOf(options.hostId)
  }

  /** Gives the cache what an earlier run has kept. What cannot be opened is reported and left alone: the agent starts without keys. */
  static async open(options: KeyPersistenceOptions): Promise<KeyPersistence> {
    const persistence = new KeyPersistence(options)
    await options.tpm.tidyUp()
    persistence.#tpmProblem = await options.tpm.problem()
    await persistence.#load()
    return persistence
  }

  get status(): KeyPersistenceStatus {
    const [keepDays, written] = [this.#keepDays, this.#written]
    return {
      isOn: keepDays !== null,
      keepDays,
      keyCount: written?.size ?? null,
      keptUntilMs: keepDays === null || written === null ? null : this.#writtenAtMs + keepDays * dayMs,
      tpmProblem: this.#tpmProblem,
      problem: this.#problem,
    }
  }

  /** Switches it on, or changes for how long keys are kept; all that is held is on disk when it resolves. Throws AgentError `refused` without a TPM. */
  enable(keepDays: number): Promise<void> {
    return this.#inTurn(() => this.#enable(keepDays))
  }

  /** Switches it off; file and TPM have nothing any more when it resolves. Throws AgentError `io` where the TPM does not confirm that. */
  disable(): Promise<void> {
    return this.#inTurn(() => this.#erase())
  }

  /** Something was added: resolves when it is written. A failure is only reported, since the key is held all the same. */
  async added(): Promise<void> {
    this.#changeCount++
    await this.settle().catch(() => undefined)
  }

  /**
   * A key was removed: no copy of the file gives it back when this resolves. Where that cannot be written, all is erased. Throws what
   * went wrong with that, too: then it may be there still.
   */
  async removed(key: KeyReference): Promise<void> {
    this.#removedMeanwhile?.add(kidOf(key))
    await this.#work?.catch(() => undefined)
    // What was to be erased before and was not: nobody may take that for granted now.
    if (this.#keepDays === null) return await this.disable()
    if (this.#written?.has(kidOf(key)) === false) return
    this.#changeCount++
    this.#removalCount++
    try {
      await this.settle()
    } catch {
      const problem = this.#problem
      await this.disable()
      this.#problem = `${problem}; all persisted keys were erased, since one had to be`
    }
  }

  /** The control plane was heard: the time for which keys are kept begins anew, about once a day. */
  confirmed(): void {
    if (this.#fileKey !== null && this.#options.now() - this.#writtenAtMs > confirmedMs) void this.added()
  }

  /** Resolves when the file has what is held, or when it is off. */
  async settle(): Promise<void> {
    while (this.#keepDays !== null && this.#writtenCount < this.#changeCount) {
      this.#work ??= this.#alone(this.#write(this.#keepDays))
      await this.#work
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settle().catch(() => undefined)
    this.#forgetFileKey()
  }

  async #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(act)
    this.#turn = mine.catch(() => undefined)
    await mine
  }

  /** `work` as `#work`, until it ends. */
  #alone(work: Promise<void>): Promise<void> {
    return work.finally(() => {
      this.#work = null
      this.#removedMeanwhile = null
    })
  }

  async #enable(keepDays: number): Promise<void> {
    this.#tpmProblem = await this.#options.tpm.problem()
    if (this.#tpmProblem !== null) {
      throw new AgentError(
        'refused',
        `this host cannot keep keys: ${this.#tpmProblem}. Keys are kept under a TPM 2.0 or not at all`,
      )
    }
    // The TPM may not have been ready when we started, and the key provider may be down now.
    while (this.#work !== null) await this.#work.catch(() => undefined)
    if (this.#keepDays !== null && this.#fileKey === null) {
      this.#removedMeanwhile = new Set()
      this.#work = this.#alone(this.#load())
      await this.#work
    }
    const before = this.#keepDays
    if (before === keepDays && this.#fileKey !== null && this.#writtenCount === this.#changeCount) return
    this.#keepDays = keepDays
    this.#changeCount++
    // A copy that says more days must not open any more.
    if (before !== null && keepDays < before) this.#removalCount++
    try {
      await this.settle()
    } catch (error) {
      if (before === null) await this.#erase().catch(() => undefined)
      else this.#keepDays = before
      throw error
    }
  }

  async #erase(): Promise<void> {
    this.#keepDays = null
    await this.#work?.catch(() => undefined)
    await this.#forgetAll()
  }

  async #forgetAll(): Promise<void> {
    this.#keepDays = null
    this.#forgetFileKey()
    this.#written = null
    if (!this.#mayHoldKeys) return
    try {
      await this.#options.tpm.forget(this.#nvIndex)
    } catch (error) {
      await this.#file.empty()
      this.#problem =
        'the persisted keys were removed from the disk; the TPM has not confirmed that it forgot its secret'
      this.#options.warn({ err: error }, this.#problem)
      throw error
    }
    await this.#file.remove()
    this.#mayHoldKeys = false
    this.#problem = null
  }

  async #write(keepDays: number): Promise<void> {
    const { hostId, keys, now, warn, tpm } = this.#options
    try {
      this.#fileKey ??= await this.#newFileKey()
      const { changeCount, removalCount } = { changeCount: this.#changeCount, removalCount: this.#removalCount }
      const { sealed, blob, kept } = this.#fileKey
      const writtenAtMs = now()
      using stack = new DisposableStack()
      const isRemoval = removalCount > this.#erasedCount
      const next = isRemoval ? stack.use(Secret.random(keptSecretSizeBytes)) : kept
      using fileKey = fileKeyOf(sealed, next)
      using loans = new DisposableStack()
      const held = keys.keys.flatMap((key): PersistedKey[] => {
        const loan: KeyLoan | null = keys.borrow(key)
        return loan === null ? [] : [{ key, kek: loans.use(loan).kek }]
      })
      const header = {
        ...({ format: 'cryptvisor-persisted-keys', version: 1, hostId, keepDays, writtenAtMs } as const),
        ...{ hostKey: keys.hostKey, sealedKey: textOf(blob) },
      }
      const bytes = encodePersistedKeys(header, fileKey, held)
      loans.dispose()
      if (isRemoval) {
        await this.#file.stage(bytes)
        await tpm.keep(this.#nvIndex, next)
        await this.#file.promote()
        kept[Symbol.dispose]()
        stack.move()
        this.#fileKey = { sealed, blob, kept: next }
        this.#erasedCount = removalCount
      } else await this.#file.replace(bytes)
      this.#writtenCount = changeCount
      this.#writtenAtMs = writtenAtMs
      this.#written = new Set(held.map(({ key }) => kidOf(key)))
      this.#problem = null
    } catch (error) {
      // The file may have been put in its place all the same.
      this.#written = null
      this.#problem = error instanceof AgentError ? error.message : 'the persisted keys could not be written'
      warn({ err: error }, 'the persisted keys could not be written')
      throw error
    }
  }

  /** Fresh secrets, sealed by the TPM and kept in it, which it has shown to give back. */
  async #newFileKey(): Promise<FileKey> {
    const { tpm } = this.#options
    this.#mayHoldKeys = true
    using stack = new DisposableStack()
    const sealed = stack.use(Secret.random(sealedSecretSizeBytes))
    const kept = stack.use(Secret.random(keptSecretSizeBytes))
    const blob = await tpm.seal(sealed)
    await tpm.keep(this.#nvIndex, kept)
    using given = await tpm.open(blob, this.#nvIndex)
    if (!given.sealed.equal(sealed) || !given.kept.equal(kept)) {
      throw new AgentError('io', 'the TPM gives back another secret than it was given')
    }
    stack.move()
    return { sealed, blob, kept }
  }

  async #load(): Promise<void> {
    const { warn } = this.#options
    try {
      const [first, second] = await this.#file.candidates()
      if (first === undefined) return
      this.#mayHoldKeys = true
      if (first.length === 0) {
        this.#problem = 'the TPM has not confirmed yet that it forgot the secret of persisted keys'
        return
      }
      await this.#take(first, second)
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
      this.#problem = error.message
      warn(
        { err: error, reason: error.message },
        'the persisted keys could not be opened; the host starts without keys',
      )
    }
  }

  /** `second`: what a removal that was cut short has left, under the secret that the TPM may have taken. */
  async #take(first: Buffer, second: Buffer | undefined): Promise<void> {
    const { hostId, tpm, keys, now } = this.#options
    const parsed = parsePersistedKeys(first)
    const { header } = parsed
    this.#keepDays = header.keepDays
    if (header.hostId !== hostId) throw new AgentError('refused', `keys.sealed: is of host ${header.hostId}`)
    const ageMs = now() - header.writtenAtMs
    if (ageMs < -clockBackMax)
      throw new AgentError('refused', 'keys.sealed: was written later than it is now: set the clock right')
    if (ageMs > header.keepDays * dayMs) return await this.#expire(ageMs, header.keepDays)
    const blob = blobOf(header.sealedKey)
    using stack = new DisposableStack()
    const { sealed, kept } = stack.use(await tpm.open(blob, this.#nvIndex))
    if (sealed.sizeBytes !== sealedSecretSizeBytes)
      throw new AgentError('refused', 'keys.sealed: its key has a wrong size')
    using fileKey = fileKeyOf(sealed, kept)
    const found = openEither(parsed, second, fileKey)
    for (const { key, kek } of found.opened) {
      // What was handed over meanwhile is newer.
      if (keys.has(key) || this.#removedMeanwhile?.has(kidOf(key))) kek[Symbol.dispose]()
      else keys.add(key, kek)
    }
    if (found.isSecond) await this.#file.promote()
    const { hostKey, writtenAtMs } = found.header
    if (hostKey !== null && keys.hostKey === null && keys.has(hostKey)) keys.setHostKey(hostKey)
    this.#written = new Set(found.opened.map(({ key }) => kidOf(key)))
    this.#writtenAtMs = writtenAtMs
    this.#fileKey = { sealed, blob, kept }
    this.#problem = null
    stack.move()
  }

  async #expire(ageMs: number, keepDays: number): Promise<void> {
    const problem = `the persisted keys were ${Math.floor(ageMs / dayMs)} days old, more than ${keepDays}, and were erased`
    await this.#forgetAll()
    this.#problem = problem
    this.#options.warn({ reason: problem }, 'the persisted keys have expired')
  }

  #forgetFileKey(): void {
    this.#fileKey?.sealed[Symbol.dispose]()
    this.#fileKey?.kept[Symbol.dispose]()
    this.#fileKey = null
  }
}

/** The file, or where its secret is not the TPM's any more the one that was laid down for the next. Throws what the first one gives. */
function openEither(first: ParsedKeys, second: Buffer | undefined, fileKey: Secret) {
  try {
    return { opened: openPersistedKeys(first, fileKey), header: first.header, isSecond: false }
  } catch (error) {
    if (!(error instanceof AgentError) || second === undefined) throw error
    try {
      const next = parsePersistedKeys(second)
      return { opened: openPersistedKeys(next, fileKey), header: next.header, isSecond: true }
    } catch {
      throw error
    }
  }
}

function textOf(blob: TpmBlob) {
  return {
    public: Buffer.from(blob.public).toString('base64url'),
    private: Buffer.from(blob.private).toString('base64url'),
    pcrs: blob.pcrs,
  }
}

function blobOf(text: ReturnType<typeof textOf>): TpmBlob {
  return {
    public: Buffer.from(text.public, 'base64url'),
    private: Buffer.from(text.private, 'base64url'),
    pcrs: text.pcrs,
  }
}
