import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { restoreFirstCopy, writeBothCopies } from '../disk/disk-record.ts'
import { keepKeySafe } from '../home/key-safe.ts'
import { kidOf } from '../key-cache.ts'
import type { Journal } from './journal.ts'
import { type Plan, rekeyedDisks, rekeysHome } from './plan.ts'
import { settleAll } from './settle-all.ts'

/**
 * Ends a shallow rekey that was committed: its journal's records, which are authentic, become the only ones of VM Home and its
 * disks, whatever lies there. Needs no key.
 */
export async function keepNewRecords(folder: Folder, { vm, next }: Plan, journal: Journal): Promise<void> {
  const records = [...journal.records]
  const home = rekeysHome(vm, next) ? records.shift() : undefined
  if (home !== undefined) await keepKeySafe(folder, home)
  await settleAll(
    rekeyedDisks(vm, next).map(async ({ after }, index) => {
      const record = records[index]
      if (record === undefined) throw new AgentError('internal', 'the journal has fewer records than its operation')
      await writeBothCopies(folder, after, record)
    }),
  )
}

/** Takes back what a shallow rekey wrote into its disks before a commit. Needs no key. */
export async function keepOldRecords(folder: Folder, { vm, next }: Plan): Promise<void> {
  await settleAll(
    rekeyedDisks(vm, next).map(async ({ before, after }) => {
      const known = before.encryption?.keys.map(kidOf) ?? []
      const newKids = (after.encryption?.keys ?? []).map(kidOf).filter((kid) => !known.includes(kid))
      await restoreFirstCopy(folder, before, newKids)
    }),
  )
}
