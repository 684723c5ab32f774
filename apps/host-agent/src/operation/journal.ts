import { createHmac, timingSafeEqual } from 'node:crypto'
import { hkdf } from '@cryptvisor/crypto'
import { recordSizeMax } from '@cryptvisor/key-record'
import { shapeCheck } from '@cryptvisor/rest'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { type Static, Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { readJsonFile } from '../datastore/json-file.ts'
import { VmDocument } from '../datastore/vm-document.ts'

/** How far a journalled operation has come (DESIGN.md, section 3). `pending` is for live changes, which are not here. */
const JournalState = Type.Union([
  Type.Literal('prepared'),
  Type.Literal('copying'),
  /** All that is new was read back and compared: from here on `vm.json` may be switched. */
  Type.Literal('ready'),
  Type.Literal('switched'),
  /** What was to be removed is gone. The journal stays, as proof, until the control plane has the outcome on record. */
  Type.Literal('cleaned'),
])
export type JournalState = Static<typeof JournalState>

/** What a journalled operation does to the layers. */
export const JournalDirection = Type.Union([
  Type.Literal('encrypt'),
  Type.Literal('decrypt'),
  Type.Literal('shallow-rekey'),
  Type.Literal('deep-rekey'),
  Type.Literal('clone'),
  Type.Literal('encrypt-in-place'),
  Type.Literal('decrypt-in-place'),
])
export type JournalDirection = Static<typeof JournalDirection>

/** Whether an operation rewrites a block device where it is, so that once it has begun nothing leads back. */
export function isInPlace(direction: JournalDirection | null): boolean {
  return direction === 'encrypt-in-place' || direction === 'decrypt-in-place'
}

/** How far one layer that an operation makes has come. */
const JournalPart = Type.Object(
  {
    layerId: Type.String({ minLength: 1, maxLength: 64 }),
    /** What it is made of, as it was when the operation began: once it changes there is nothing to go on with. */
    source: Type.Object(
      { sizeBytes: Type.Integer({ minimum: 0 }), modifiedNs: Type.String({ pattern: '^[0-9]{1,20}$' }) },
      { additionalProperties: false },
    ),
    state: Type.Union([
      Type.Literal('waiting'),
      Type.Literal('copying'),
      Type.Literal('copied'),
      /** Read back and compared, or taken as it was copied where that was asked for. */
      Type.Literal('verified'),
    ]),
    /** All bytes of the image before this one are in the layer, durable; in place, that many have been moved. */
    doneBytes: Type.Integer({ minimum: 0 }),
    /** In place: keyed digests of what the next steps move, as it lay before. */
    digests: Type.Optional(Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { maxItems: 64 })),
    /** In place: SHA-256 of the LUKS header, whose bytes lie in a file beside the journal. */
    header: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  },
  { additionalProperties: false },
)
export type JournalPart = Static<typeof JournalPart>

const JournalContent = Type.Object(
  {
    version: Type.Literal(1),
    operationId: Type.String({ minLength: 1, maxLength: 64 }),
    direction: JournalDirection,
    state: JournalState,
    /** `null` for a VM that is being made. */
    previous: Type.Union([VmDocument, Type.Null()]),
    next: VmDocument,
    /** Names in the VM's folder that the operation makes, and those that it removes after the commit. */
    makes: Type.Array(Type.String({ maxLength: 128 }), { maxItems: 66 }),
    removes: Type.Array(Type.String({ maxLength: 128 }), { maxItems: 130 }),
    /** Key records of the DEKs that authenticate this journal: VM Home's first, then disks by number. */
    records: Type.Array(Type.String({ maxLength: recordSizeMax }), { minItems: 1, maxItems: 65 }),
    parts: Type.Array(JournalPart, { maxItems: 64 }),
  },
  { additionalProperties: false },
)
export type JournalContent = Static<typeof JournalContent>

const JournalFile = Type.Object(
  { content: JournalContent, hmac: Type.String({ pattern: '^[0-9a-f]{64}$' }) },
  { additionalProperties: false },
)
export type JournalFile = Static<typeof JournalFile>

/** Its name in the VM's folder. */
export const journalName = 'journal.json'

/** Two documents, 65 records, some names. */
const journalSizeMax = 2_097_152

const problemOf = shapeCheck(JournalFile, journalName)

/** The journal of one operation, written anew at each step under a key that only the VM's DEKs give. */
export class Journal implements Disposable {
  readonly #folder: Folder
  readonly #key: Secret
  #content: JournalContent
  /** The writes so far: one comes after the other. */
  #written: Promise<void> = Promise.resolve()

  /** `deks`: those whose records the content lists, in that order; they stay the caller's. */
  constructor(folder: Folder, deks: readonly Secret[], content: JournalContent) {
    this.#folder = folder
    this.#content = content
    this.#key = journalKey(deks, content.operationId)
  }

  get state(): JournalState {
    return this.#content.state
  }

  /** The key records in it, VM Home's first, then disks by number. */
  get records(): readonly string[] {
    return this.#content.records
  }

  /** How far a layer has come. Throws AgentError `internal` for one that is not of this operation. */
  part(layerId: string): JournalPart {
    const part = this.#content.parts.find((other) => other.layerId === layerId)
    if (part === undefined) throw new AgentError('internal', `the journal knows no layer ${layerId}`)
    return part
  }

  /** Says that the operation has come to `state`; durable when it resolves. */
  async write(state: JournalState): Promise<void> {
    await this.#write(() => ({ ...this.#content, state }))
  }

  /** Says how far a layer has come, and in place what the next steps move; durable when it resolves. */
  async note(
    layerId: string,
    state: JournalPart['state'],
    doneBytes: number,
    digests?: readonly string[],
  ): Promise<void> {
    const noted = ({ digests: _, ...part }: JournalPart): JournalPart => ({
      ...part,
      state,
      doneBytes,
      ...(digests === undefined ? {} : { digests: [...digests] }),
    })
    await this.#write(() => ({
      ...this.#content,
      parts: this.#content.parts.map((part) => (part.layerId === layerId ? noted(part) : part)),
    }))
  }

  [Symbol.dispose](): void {
    this.#key[Symbol.dispose]()
  }

  async #write(change: () => JournalContent): Promise<void> {
    const before = this.#written
    const writing = (async () => {
      await before.catch(() => {})
      const content = change()
      const file: JournalFile = { content, hmac: hmacOf(this.#key, content).toString('hex') }
      await this.#folder.write(journalName, Buffer.from(JSON.stringify(file, null, 1)))
      this.#content = content
    })()
    this.#written = writing
    await writing
  }
}

/**
 * Reads a VM's journal; `null` when there is none. Nothing in it is to be believed before `isAuthentic`. Throws AgentError
 * `datastore-mismatch` when it is not one of ours.
 */
export async function readJournal(folder: Folder): Promise<JournalFile | null> {
  // Just checked against the schema that the type comes from.
  return (await readJsonFile(folder, journalName, journalSizeMax, problemOf)) as JournalFile | null
}

/** Whether a journal was written by somebody who had the DEKs, as it stands, for its operation. */
export function isAuthentic({ content, hmac }: JournalFile, deks: readonly Secret[]): boolean {
  using key = journalKey(deks, content.operationId)
  return timingSafeEqual(hmacOf(key, content), Buffer.from(hmac, 'hex'))
}

/** HKDF of all the DEKs together, bound to the operation. */
function journalKey(deks: readonly Secret[], operationId: string): Secret {
  const joined = secretBytes(deks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
  let offset = 0
  for (const dek of deks) {
    dek.expose((bytes) => joined.set(bytes, offset))
    offset += dek.sizeBytes
  }
  using key = Secret.from(joined)
  return hkdf(key, { info: `journal ${operationId}`, sizeBytes: 32 })
}

/** Over the content as JSON: what was parsed gives the same text again, since fields keep their order. */
function hmacOf(key: Secret, content: JournalContent): Buffer {
  return key.expose((bytes) => createHmac('sha256', bytes).update(JSON.stringify(content)).digest())
}
