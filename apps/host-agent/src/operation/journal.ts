import { createHmac, timingSafeEqual } from 'node:crypto'
import { hkdf } from '@cryptvisor/crypto'
import { recordSizeMax } from '@cryptvisor/key-record'
import { shapeCheck } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { type Static, Type } from 'typebox'
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

const JournalContent = Type.Object(
  {
    version: Type.Literal(1),
    operationId: Type.String({ minLength: 1, maxLength: 64 }),
    direction: Type.Union([Type.Literal('encrypt'), Type.Literal('decrypt')]),
    state: JournalState,
    previous: VmDocument,
    next: VmDocument,
    /** Names in the VM's folder that the operation makes, and those that it removes after the commit. */
    makes: Type.Array(Type.String({ maxLength: 128 }), { maxItems: 66 }),
    removes: Type.Array(Type.String({ maxLength: 128 }), { maxItems: 66 }),
    /** Key records of the DEKs that authenticate this journal: VM Home's first, then disks by number. */
    records: Type.Array(Type.String({ maxLength: recordSizeMax }), { minItems: 1, maxItems: 65 }),
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

/** The journal of one operation, written anew at each state under a key that only the VM's DEKs give. */
export class Journal implements Disposable {
  readonly #folder: Folder
  readonly #key: Secret
  readonly #content: Omit<JournalContent, 'state'>

  /** `deks`: those whose records the content lists, in that order; they stay the caller's. */
  constructor(folder: Folder, deks: readonly Secret[], content: Omit<JournalContent, 'state'>) {
    this.#folder = folder
    this.#content = content
    this.#key = journalKey(deks, content.operationId)
  }

  /** Says that the operation has come to `state`; durable when it resolves. */
  async write(state: JournalState): Promise<void> {
    const content: JournalContent = { ...this.#content, state }
    const file: JournalFile = { content, hmac: hmacOf(this.#key, content).toString('hex') }
    await this.#folder.write(journalName, Buffer.from(JSON.stringify(file, null, 1)))
  }

  [Symbol.dispose](): void {
    this.#key[Symbol.dispose]()
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
  const joined = new Uint8Array(deks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
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
