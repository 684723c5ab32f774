import { isDeepStrictEqual } from 'node:util'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { type Authority, inspectRecord, type NamedKek, unwrapDek } from '@cryptvisor/key-record'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import type { VmDocument } from '../datastore/vm-document.ts'
import { recordAuthorityOf } from '../disk/open-disk.ts'
import { homeAuthorityOf } from '../home/key-safe.ts'
import { isAuthentic, Journal, type JournalContent, readJournal } from './journal.ts'
import type { KeyLoans } from './key-loans.ts'
import { changedDisks, type Plan, rekeyedDisks, rekeysHome, withSizes } from './plan.ts'

/** States from which on a commit may have happened. */
const committable: ReadonlySet<JournalContent['state']> = new Set(['ready', 'switched', 'cleaned'])

/** The journal of an earlier try at an operation, found authentic, and the DEKs of its records, in their order. */
export interface Resumed {
  readonly content: JournalContent
  readonly deks: readonly Secret[]
}

/**
 * The journal of an operation that was begun, was not committed, and can be gone on with; `null` when there is none, or it
 * is not the one that this operation wrote. The DEKs go with `stack`. Throws AgentError `key-not-held`, KeyRecordError.
 */
export async function resumableJournal(
  folder: Folder,
  plan: Plan,
  document: VmDocument | null,
  keys: KeyLoans,
  stack: DisposableStack,
): Promise<Resumed | null> {
  const file = await readJournal(folder)
  if (file === null || plan.direction === null) return null
  const { content } = file
  const own =
    content.operationId === plan.operationId &&
    content.direction === plan.direction &&
    isDeepStrictEqual(content.previous, document) &&
    isDeepStrictEqual(content.makes, plan.makes) &&
    isDeepStrictEqual(content.removes, plan.removes)
  if (!own || content.state === 'switched' || content.state === 'cleaned') return null
  const deks = await deksOf(content, plan, nextOf(plan, content), keys, stack)
  return isAuthentic(file, deks) ? { content, deks } : null
}

/** The VM as it will be, with the sizes that the journal says; nothing counts on them before the journal is authentic. */
function nextOf(plan: Plan, { next }: JournalContent): VmAuthority {
  return withSizes(
    plan,
    new Map(next.disks.map(({ layerId, payloadBytes, virtualBytes }) => [layerId, { payloadBytes, virtualBytes }])),
  )
}

/**
 * The journal of a committed operation, after it was found to be the one that this operation wrote: its HMAC is right
 * under the DEKs of the records in it, these are records of this operation's parts, and it had come to `ready`. Throws
 * AgentError `datastore-mismatch`, KeyRecordError.
 */
export async function authenticJournal(
  folder: Folder,
  plan: Plan,
  next: VmAuthority,
  document: VmDocument,
  keys: KeyLoans,
): Promise<Journal> {
  const refuse = (text: string) => new AgentError('datastore-mismatch', `${folder.path}/journal.json: ${text}`)
  const file = await readJournal(folder)
  if (file === null) throw refuse('is missing, yet vm.json was switched: somebody else wrote it')
  const { content } = file
  if (content.operationId !== plan.operationId) throw refuse(`belongs to operation ${content.operationId}`)
  if (content.direction !== plan.direction) throw refuse(`is one of a «${content.direction}»`)
  if (!committable.has(content.state)) throw refuse(`says «${content.state}», yet vm.json was switched`)
  if (!isDeepStrictEqual(content.next, document)) throw refuse('describes another vm.json')
  if (!isDeepStrictEqual(content.removes, plan.removes)) throw refuse('removes other files')
  using stack = new DisposableStack()
  const deks = await deksOf(content, plan, next, keys, stack)
  if (!isAuthentic(file, deks)) throw refuse('is not authentic')
  return new Journal(folder, deks, content)
}

/** Unwraps the DEKs that authenticate a journal, each from a record of the part that it must be of. */
async function deksOf(
  { records }: JournalContent,
  plan: Plan,
  next: VmAuthority,
  keys: KeyLoans,
  stack: DisposableStack,
): Promise<Secret[]> {
  const parts = recordedParts(plan, next, keys)
  if (records.length !== parts.length) {
    throw new AgentError('datastore-mismatch', `journal.json: has ${records.length} records, expected ${parts.length}`)
  }
  const deks: Secret[] = []
  for (const [index, { expected, keks }] of parts.entries()) {
    const record = records[index] ?? ''
    const { kids } = inspectRecord(record)
    const kek = keks.find(({ kid }) => kids.includes(kid))
    if (kek === undefined) throw new AgentError('key-not-held', `the journal needs ${kids.join(' or ')}`)
    deks.push(stack.use((await unwrapDek(record, kek, expected)).dek))
  }
  return deks
}

interface RecordedPart {
  readonly expected: Authority
  readonly keks: readonly NamedKek[]
}

/** The parts whose DEKs an operation makes or needs: VM Home's first, then its disks by number. */
function recordedParts(plan: Plan, next: VmAuthority, keys: KeyLoans): RecordedPart[] {
  const { vm, direction, rewritesHome } = plan
  if (direction === 'shallow-rekey') return rekeyedParts(plan, next, keys)
  const makesNew = direction !== 'decrypt' && direction !== 'decrypt-in-place'
  const encryptedVm = makesNew ? next : vm
  const home = rewritesHome ? encryptedVm.encryption : null
  const disks = changedDisks(vm, next).flatMap(({ before, after }) =>
    makesNew ? (after.encryption === null ? [] : after) : (before ?? []),
  )
  return [
    ...(home === null ? [] : [{ expected: homeAuthorityOf(vm.vmId, home), keks: keys.of(home.keys) }]),
    ...disks.map((disk) => ({ expected: recordAuthorityOf(disk), keks: keys.of(disk.encryption?.keys ?? []) })),
  ]
}

/** A shallow rekey's journal has the records that are to come, which the new KEKs alone open. */
function rekeyedParts({ vm }: Plan, next: VmAuthority, keys: KeyLoans): RecordedPart[] {
  const home = rekeysHome(vm, next) ? next.encryption : null
  return [
    ...(home === null ? [] : [{ expected: homeAuthorityOf(vm.vmId, home), keks: keys.of(home.keys) }]),
    ...rekeyedDisks(vm, next).map(({ after }) => ({
      expected: recordAuthorityOf(after),
      keks: keys.of(after.encryption?.keys ?? []),
    })),
  ]
}
