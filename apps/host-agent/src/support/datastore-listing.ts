import type { TakeSupportBundle } from '@cryptvisor/host-agent-api'
import type { StorageStats } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import type { Datastores } from '../datastore/datastores.ts'
import type { Folder, FolderEntry } from '../datastore/folder.ts'
import { readVmDocument, type VmDocument, vmDocumentName } from '../datastore/vm-document.ts'
import { homeFolderName } from '../home/configuration.ts'
import { creatingName } from '../operation/create-vm.ts'
import { type JournalContent, journalName, readJournal } from '../operation/journal.ts'
import { isOurName } from './shown-name.ts'

/** No more of a datastore, and of one folder in it, is looked at. */
const entriesMax = 5000
const filesPerFolderMax = 200

/** A folder as the control plane may name it. */
const folderPattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,79}$/

/** So much of a file says what it is. */
const headerSizeBytes = 8

/** A datastore, and the folders of VMs that are known there: they come first, whatever else lies there. */
export type ListedDatastore = TakeSupportBundle['datastores'][number]

/** What lies on a datastore: one line for each thing. Nothing of any file's content but what kind of header it begins with. */
export async function* datastoreFiles(
  datastores: Datastores,
  listed: ListedDatastore,
  signal: AbortSignal,
): AsyncGenerator<object> {
  await using datastore = await datastores.open({ datastorePath: listed.path })
  for await (const found of lookThrough(datastore, listed.folders, signal)) {
    if ('other' in found) {
      yield rowOf(found.other, {})
      continue
    }
    if ('note' in found) {
      yield found
      continue
    }
    const { name, folder, problem } = found
    yield { folder: name, problem }
    if (folder === null) continue
    yield* filesOf(folder, name, signal)
    await using home = (await tried(() => folder.folder(homeFolderName))).value
    if (home !== null) yield* filesOf(home, `${name}/${homeFolderName}`, signal)
  }
}

/** The `vm.json` of each VM on a datastore, and how far its journal is: one line for each. */
export async function* datastoreVms(
  datastores: Datastores,
  listed: ListedDatastore,
  signal: AbortSignal,
): AsyncGenerator<object> {
  await using datastore = await datastores.open({ datastorePath: listed.path })
  for await (const found of lookThrough(datastore, listed.folders, signal)) {
    if (!('name' in found)) continue
    const { name, folder } = found
    if (folder === null) {
      yield { folder: name, vm: null, problem: found.problem, journal: null, journalProblem: null }
      continue
    }
    const { value: document, problem } = await tried(() => readVmDocument(folder))
    const journal = await tried(async () => journalFacts(await readJournal(folder)))
    const vm = document === null ? null : documentFacts(document)
    yield { folder: name, vm, problem, journal: journal.value, journalProblem: journal.problem }
  }
}

/** A folder of a VM, which is closed when the next one is asked for; or something else that lies there; or a remark. */
type Found =
  | { readonly name: string; readonly folder: Folder | null; readonly problem: string | null }
  | { readonly other: FolderEntry }
  | { readonly note: string }

async function* lookThrough(
  datastore: Folder,
  known: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Found, void, undefined> {
  for (const name of known) {
    if (signal.aborted) return
    const { value, problem } = await tried(() => datastore.folder(name))
    await using folder = value
    yield { name, folder, problem: folder === null && problem === null ? 'it is missing' : problem }
  }
  const { entries, isAll } = await datastore.entries(entriesMax)
  if (!isAll) yield { note: `the datastore has more than ${entriesMax} entries: these are some of them` }
  const looked = new Set(known)
  for (const entry of entries) {
    if (signal.aborted) return
    if (looked.has(entry.name)) continue
    await using folder = await unknownVm(datastore, entry)
    yield folder === null ? { other: entry } : { name: entry.name, folder, problem: null }
  }
}

/** Opens a folder that has something of a VM in it; `null`: it is something else. */
async function unknownVm(datastore: Folder, { name, stats }: FolderEntry): Promise<Folder | null> {
  if (stats.kind !== 'folder' || !folderPattern.test(name)) return null
  const { value: folder } = await tried(() => datastore.folder(name))
  if (folder === null) return null
  for (const ours of [vmDocumentName, creatingName, journalName]) {
    if ((await tried(() => folder.has(ours))).value === true) return folder
  }
  await folder[Symbol.asyncDispose]()
  return null
}

async function* filesOf(folder: Folder, path: string, signal: AbortSignal): AsyncGenerator<object> {
  const { value, problem } = await tried(() => folder.entries(filesPerFolderMax))
  if (value === null) {
    yield { folder: path, note: problem }
    return
  }
  if (!value.isAll)
    yield { folder: path, note: `it has more than ${filesPerFolderMax} entries: these are some of them` }
  for (const entry of value.entries) {
    if (signal.aborted) return
    const isOurs = isOurName(entry.name)
    const header = isOurs && entry.stats.kind === 'file' ? await headerOf(folder, entry.name) : undefined
    yield rowOf(entry, { folder: path, ...(header === undefined ? {} : { header }) })
  }
}

/** A name that is none of ours is not shown: it may say anything. */
function rowOf({ name, stats }: FolderEntry, more: object): object {
  const shown = isOurName(name) ? { name } : { name: null, nameSizeBytes: Buffer.byteLength(name) }
  return { ...more, ...shown, ...factsOf(stats) }
}

function factsOf({ kind, sizeBytes, allocatedBytes, modifiedNs, linkCount }: StorageStats): object {
  const modifiedAt = new Date(Number(modifiedNs / 1_000_000n))
  return {
    kind,
    sizeBytes,
    allocatedBytes,
    modifiedAt: Number.isNaN(modifiedAt.getTime()) ? null : modifiedAt.toISOString(),
    linkCount,
  }
}

async function headerOf(folder: Folder, name: string): Promise<string> {
  const { value: bytes } = await tried(() => folder.beginning(name, headerSizeBytes))
  if (bytes === null) return 'not readable'
  if (bytes.length === 0) return 'empty'
  if (bytes.subarray(0, 6).equals(Buffer.from('LUKS\xba\xbe', 'latin1'))) return `LUKS${bytes.readUInt16BE(6)}`
  if (bytes.subarray(0, 4).equals(Buffer.from('QFI\xfb', 'latin1'))) return `qcow2, version ${bytes.readUInt32BE(4)}`
  if (bytes[0] === 0x7b) return 'JSON'
  return bytes.every((byte) => byte === 0) ? 'zeros' : 'other'
}

function documentFacts({ version, vmId, name, generation, policy, home, encryption, disks }: VmDocument): object {
  return { version, vmId, name, generation, policy, home, encryption, disks }
}

/** How far it is; no record, no digest and no authentication of it. */
function journalFacts(file: { readonly content: JournalContent } | null): object | null {
  if (file === null) return null
  const { operationId, direction, state, makes, removes, parts, next } = file.content
  return {
    operationId,
    direction,
    state,
    toGeneration: next.generation,
    makes: makes.filter(isOurName),
    removes: removes.filter(isOurName),
    parts: parts.map(({ layerId, state: partState, doneBytes, source }) => ({
      layerId,
      state: partState,
      doneBytes,
      sourceSizeBytes: source.sizeBytes,
    })),
  }
}

/** What goes wrong with one thing is told beside it, and the rest is listed. */
async function tried<Value>(read: () => Promise<Value>): Promise<{ value: Value | null; problem: string | null }> {
  try {
    return { value: await read(), problem: null }
  } catch (error) {
    if (error instanceof AgentError) return { value: null, problem: error.message }
    throw error
  }
}
