import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { type NamedKek, type RecordHeader, wrapDek } from '@cryptvisor/key-record'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { DataPathError, type SourceVersion, sameVersion } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { documentOf } from '../datastore/vm-document.ts'
import { Journal } from './journal.ts'
import type { Resumed } from './journal-keys.ts'
import { homeGenerationAfter } from './plan.ts'
import type { Work } from './work.ts'

/** One DEK of an operation, and what a record of it says. */
export interface JournalKey {
  readonly dek: Secret
  readonly keks: readonly NamedKek[]
  readonly header: RecordHeader
}

/** A layer that an operation makes, and what it is made of. */
export interface JournalSource {
  readonly layerId: string
  readonly version: SourceVersion
  /** In place: SHA-256 of the LUKS header, in hex. */
  readonly header?: string
  /** In place: of what the first steps move. */
  readonly digests?: string[]
}

/**
 * Begins the journal of an operation, in state `prepared`, before it makes its first file. The journal has key records of
 * its own, since those of the VM come with the new files or go with the old ones. Where an earlier try left one, that goes on, as
 * long as all that it makes layers of is as it was: else throws DataPathError `source-changed`.
 */
export async function startJournal(
  work: Work,
  next: VmAuthority,
  keys: readonly JournalKey[],
  sources: readonly JournalSource[],
): Promise<Journal> {
  const { plan, folder, previous, stack, resumed } = work
  if (resumed !== null) return stack.use(continued(folder, resumed, sources))
  if (plan.direction === null) throw new AgentError('internal', 'an operation that only adds has no journal')
  const records: string[] = []
  for (const { dek, keks, header } of keys) records.push(await wrapDek({ dek, keks, header }))
  const journal = new Journal(
    folder,
    keys.map(({ dek }) => dek),
    {
      version: 1,
      state: 'prepared',
      operationId: plan.operationId,
      direction: plan.direction,
      previous,
      next: documentOf(next, homeGenerationAfter(plan, previous?.home.generation ?? null)),
      makes: [...plan.makes],
      removes: [...plan.removes],
      records,
      parts: sources.map(({ version, ...part }) => ({ ...part, source: version, state: 'waiting', doneBytes: 0 })),
    },
  )
  stack.use(journal)
  await journal.write('prepared')
  return journal
}

function continued(folder: Folder, { content, deks }: Resumed, sources: readonly JournalSource[]): Journal {
  const journal = new Journal(folder, deks, content)
  const changed = sources.find(({ layerId, version }) => !sameVersion(journal.part(layerId).source, version))
  if (changed === undefined) return journal
  journal[Symbol.dispose]()
  throw new DataPathError('source-changed', `what layer ${changed.layerId} is made of was changed since it was begun`)
}

/** Says that layers are being filled; a journal that is further already stays as it is. */
export async function beginCopying(journal: Journal): Promise<void> {
  if (journal.state === 'prepared') await journal.write('copying')
}
