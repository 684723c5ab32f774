import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { type NamedKek, type RecordHeader, wrapDek } from '@cryptvisor/key-record'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { documentOf } from '../datastore/vm-document.ts'
import { Journal } from './journal.ts'
import { homeGenerationAfter } from './plan.ts'
import { previousOf, type Work } from './work.ts'

/** One DEK of an operation, and what a record of it says. */
export interface JournalKey {
  readonly dek: Secret
  readonly keks: readonly NamedKek[]
  readonly header: RecordHeader
}

/**
 * Begins the journal of an operation, in state `prepared`, before it makes its first file. The journal has key records of
 * its own, since those of the VM come with the new files or go with the old ones.
 */
export async function startJournal(work: Work, next: VmAuthority, keys: readonly JournalKey[]): Promise<Journal> {
  const { plan, folder, stack } = work
  const previous = previousOf(work)
  if (plan.direction === null) throw new AgentError('internal', 'an operation that only adds has no journal')
  const records: string[] = []
  for (const { dek, keks, header } of keys) records.push(await wrapDek({ dek, keks, header }))
  const journal = new Journal(
    folder,
    keys.map(({ dek }) => dek),
    {
      version: 1,
      operationId: plan.operationId,
      direction: plan.direction,
      previous,
      next: documentOf(next, homeGenerationAfter(plan, previous.home.generation)),
      makes: [...plan.makes],
      removes: [...plan.removes],
      records,
    },
  )
  stack.use(journal)
  await journal.write('prepared')
  return journal
}
