import type {
  DiskAuthority,
  EncryptionAuthority,
  KeyReference,
  ShallowRekey,
  VmAuthority,
} from '@cryptvisor/host-agent-api'
import { inspectRecord, type NamedKek, type UnwrappedDek, unwrapDek, wrapDek } from '@cryptvisor/key-record'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { type DiskRecord, openDiskRecord, writeFirstCopy } from '../disk/disk-record.ts'
import { recordAuthorityOf } from '../disk/open-disk.ts'
import {
  homeAuthorityOf,
  nextHomeEncryption,
  nextKeySafeName,
  openKeySafe,
  writeNextKeySafe,
} from '../home/key-safe.ts'
import { kidOf } from '../key-cache.ts'
import { chosenDisks } from './chosen-disks.ts'
import type { KeyLoans } from './key-loans.ts'
import { nextVm, type Plan, refused, rekeyedDisks } from './plan.ts'
import { settleAll } from './settle-all.ts'
import { type JournalKey, startJournal } from './start-journal.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof ShallowRekey>

/** Old and new KEK together, then the new one alone: two generations (DESIGN.md, section 2). */
const generationsOfDisk = 2

/** What a shallow rekey changes. Throws AgentError `refused`. */
export function shallowRekeyPlan(operationId: string, { vm, home, disks }: Request): Plan {
  const chosen = chosenDisks(vm, disks, home !== null).map(({ disk, choice: { key } }) => {
    const part = `disk ${disk.number}`
    const encryption = checkRekey(part, disk.encryption, key)
    const after = { keys: [key], generation: encryption.generation + generationsOfDisk, luksUuid: encryption.luksUuid }
    return { part, key, old: encryption, disk: { ...disk, encryption: after } }
  })
  const oldHome = home === null ? null : checkRekey('VM Home', vm.encryption, home.key)
  const rekeyed = new Map(chosen.map(({ disk }) => [disk.diskId, disk]))
  const parts = [
    ...(home === null || oldHome === null ? [] : [{ part: 'VM Home', old: oldHome, key: home.key }]),
    ...chosen,
  ]
  const newKeys = parts.map(({ part, key }) => ({ part, anyOf: [key] }))
  return {
    operationId,
    vm,
    next: nextVm(vm, {
      ...(home === null || oldHome === null ? {} : { encryption: nextHomeEncryption(oldHome, home.key) }),
      disks: vm.disks.map((disk) => rekeyed.get(disk.diskId) ?? disk),
    }),
    measured: [],
    keys: [...parts.map(({ part, old }) => ({ part, anyOf: old.keys })), ...newKeys],
    keysToFinish: newKeys,
    rewritesHome: false,
    makes: home === null ? [] : [nextKeySafeName],
    removes: [],
    direction: 'shallow-rekey',
  }
}

/** A part is encrypted, and not under that KEK alone. Gives its encryption as it is. */
function checkRekey(part: string, encryption: EncryptionAuthority | null, key: KeyReference): EncryptionAuthority {
  if (encryption === null) throw refused(`${part}: is plain: encrypt it instead`)
  if (encryption.keys.every((known) => kidOf(known) === kidOf(key))) {
    throw refused(`${part}: its DEK is wrapped under ${kidOf(key)} already`)
  }
  return encryption
}

/**
 * Puts what the commit needs beside what counts: the record of each disk under both KEKs into its copy A, and VM Home's
 * next key safe. The records under the new KEKs alone stand in the journal until the commit; no key slot is touched.
 */
export async function makeShallowRekeyed(work: Work, request: Request): Promise<Made> {
  const { plan, folder, progress, signal, keys } = work
  using stack = new DisposableStack()
  progress.begin('opening key records')
  const home = request.home === null ? null : await openHomePart(work, plan.vm, plan.next, stack)
  const disks: DiskPart[] = []
  for (const { before, after } of rekeyedDisks(plan.vm, plan.next)) {
    const opened = stack.use(await openDiskRecord(folder, before, keysOf(keys, before)))
    disks.push({ before, after, opened, ...nextRecord(opened, generationsOfDisk, keysOf(keys, after)) })
  }
  const journal = await startJournal(work, plan.next, [...(home === null ? [] : [home]), ...disks], [])
  progress.begin('writing key records')
  const records = [...journal.records]
  const homeRecord = home === null ? null : takeRecord(records)
  if (home !== null && homeRecord !== null) await writeHome(work, home, homeRecord)
  await settleAll(
    disks.map(async (part) => {
      signal.throwIfAborted()
      await writeDisk(work, part, takeRecord(records))
    }),
  )
  await journal.write('ready')
  return { next: plan.next, journal }
}

/** A disk's DEK with its record as it is, and what the next one will say. */
interface DiskPart extends JournalKey {
  readonly before: DiskAuthority
  readonly after: DiskAuthority
  readonly opened: DiskRecord
}

async function openHomePart(
  { folder, keys }: Work,
  { vmId, encryption: before }: VmAuthority,
  { encryption: after }: VmAuthority,
  stack: DisposableStack,
): Promise<JournalKey | null> {
  if (before === null || after === null) return null
  const opened = stack.use(await openKeySafe(folder, vmId, before, keys.of(before.keys)))
  return nextRecord(opened, 1, keys.of(after.keys))
}

function nextRecord({ dek, header }: UnwrappedDek, generations: number, keks: readonly NamedKek[]): JournalKey {
  return { dek, keks, header: { ...header, generation: header.generation + generations } }
}

async function writeHome({ plan, folder }: Work, { dek, header, keks }: JournalKey, record: string): Promise<void> {
  const { vmId, encryption } = plan.next
  const [kek] = keks
  if (kek === undefined || encryption === null) throw new AgentError('internal', 'VM Home has no key to come')
  using found = (await unwrapDek(record, kek, homeAuthorityOf(vmId, encryption))).dek
  checkSame(found.equal(dek))
  await writeNextKeySafe(folder, vmId, { dek, record, header }, kek)
}

async function writeDisk({ folder, keys }: Work, part: DiskPart, record: string): Promise<void> {
  const { before, after, opened, dek, header, keks } = part
  const [kek] = keks
  if (kek === undefined) throw new AgentError('internal', `disk ${after.number} has no key to come`)
  using found = (await unwrapDek(record, kek, recordAuthorityOf(after))).dek
  checkSame(found.equal(dek))
  const { kids } = inspectRecord(opened.record)
  const old = keysOf(keys, before).filter(({ kid }) => kids.includes(kid) && kid !== kek.kid)
  const both = await wrapDek({ dek, keks: [...old, kek], header: { ...header, generation: header.generation - 1 } })
  await writeFirstCopy(folder, before, opened, both)
}

function checkSame(isSame: boolean): void {
  if (!isSame) throw new AgentError('internal', 'a key record opens to another DEK')
}

function keysOf(keys: KeyLoans, { encryption }: DiskAuthority): NamedKek[] {
  return keys.of(encryption?.keys ?? [])
}

/** The journal has one for each part, in their order. */
function takeRecord(records: string[]): string {
  const record = records.shift()
  if (record === undefined) throw new AgentError('internal', 'the journal has fewer records than its operation')
  return record
}
