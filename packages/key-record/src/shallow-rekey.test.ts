import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { type ChosenCopy, type CopyContent, type CopyName, chooseCopy } from './choose-copy.ts'
import { inspectRecord, unwrapDek, wrapDek } from './key-record.ts'
import { type RecordWrite, rewrapDek, shallowRekeyWrites } from './shallow-rekey.ts'
import { diskAuthority, diskHeader, homeHeader, namedKek } from './testing/records.ts'

const source = namedKek('kms/1')
const target = namedKek('kms/2')
const dek = Secret.random(32)
const generation = diskHeader.generation
type Copies = Readonly<Record<CopyName, CopyContent>>

const text = (record: string): CopyContent => ({ state: 'text', text: record })
const damaged: CopyContent = { state: 'damaged', reason: 'torn' }
const record = async (keks = [source]) => wrapDek({ dek, keks, header: diskHeader })
const kidsOf = (content: CopyContent) => (content.state === 'text' ? inspectRecord(content.text).kids : [])

async function withChosen<Result>(copies: Copies, use: (chosen: ChosenCopy) => Promise<Result>): Promise<Result> {
  const chosen = await chooseCopy(copies, [source, target], diskAuthority)
  using found = chosen.dek
  assert.ok(found.equal(dek))
  return await use(chosen)
}

const writesOf = (copies: Copies) => withChosen(copies, (chosen) => shallowRekeyWrites(chosen, source, target))
const after = (copies: Copies, { name, record }: RecordWrite): Copies => ({ ...copies, [name]: text(record) })

test('a shallow rekey is three writes: both KEKs into A, the new one into B, the same into A', async () => {
  const old = text(await record())
  const writes = await writesOf({ A: old, B: old })
  assert.deepEqual(
    writes.map(({ name, generation, record }) => [name, generation, inspectRecord(record).kids]),
    [
      ['A', generation + 1, ['kms/1', 'kms/2']],
      ['B', generation + 2, ['kms/2']],
      ['A', generation + 2, ['kms/2']],
    ],
  )
  assert.equal(writes[1]?.record, writes[2]?.record)
  for (const { record, generation } of writes) assert.equal(inspectRecord(record).header.generation, generation)
})

/** Rekeys, cut at `cut` of the first try and torn there or not, and again until nothing is left. */
async function rekeyed(start: Copies, cut: number, torn: boolean): Promise<Copies> {
  let copies = start
  let writes = await writesOf(copies)
  for (let tries = 0; writes.length > 0; tries++) {
    assert.ok(tries < 4, 'it comes to an end')
    for (const [index, write] of writes.entries()) {
      if (tries === 0 && index === cut) {
        if (torn) copies = { ...copies, [write.name]: damaged }
        break
      }
      copies = after(copies, write)
      // At every moment the new KEK or the old one opens it.
      await withChosen(copies, async () => {})
    }
    writes = await writesOf(copies)
  }
  return copies
}

test('a shallow rekey that is cut anywhere, torn or not, ends as one that was not', async () => {
  const [old, other, both] = [await record(), await record(), await record([source, target])].map(text)
  assert.ok(old !== undefined && other !== undefined && both !== undefined)
  const starts: readonly Copies[] = [
    { A: old, B: old },
    { A: old, B: other },
    { A: old, B: damaged },
    { A: damaged, B: old },
    { A: both, B: both },
    { A: both, B: damaged },
  ]
  for (const [index, start] of starts.entries()) {
    for (let cut = 0; cut < 4; cut++) {
      for (const torn of [false, true]) {
        const copies = await rekeyed(start, cut, torn)
        assert.deepEqual(kidsOf(copies.A), ['kms/2'], `start ${index}, cut ${cut}`)
        assert.deepEqual(copies.A, copies.B)
      }
    }
  }
})

test('the copy that counts is not overwritten while the other one is of no use', async () => {
  const old = text(await record())
  assert.equal((await writesOf({ A: old, B: damaged }))[0]?.name, 'B')
  assert.equal((await writesOf({ A: damaged, B: old }))[0]?.name, 'A')
})

test('a record that names a third KEK is not rekeyed', async () => {
  const third = namedKek('kms/3')
  const copy = text(await record([source, third]))
  const chosen = await chooseCopy({ A: copy, B: copy }, [source], { ...diskAuthority, kids: ['kms/1', 'kms/3'] })
  using _ = chosen.dek
  await assert.rejects(shallowRekeyWrites(chosen, source, target), { code: 'not-a-recipient', message: /kms\/3/ })
})

test('a rewrapped record is the next generation of the same DEK, fresh in every part, for the named KEKs alone', async () => {
  const old = await wrapDek({ dek, keks: [source], header: homeHeader })
  const { record, generation } = await rewrapDek({ dek, header: homeHeader }, [target])
  assert.equal(generation, homeHeader.generation + 1)
  assert.deepEqual(inspectRecord(record), { header: { ...homeHeader, generation }, kids: ['kms/2'] })
  const authority = { kind: 'vm-home', vmId: homeHeader.vmId, kids: ['kms/2'], generationMin: generation } as const
  using found = (await unwrapDek(record, target, authority)).dek
  assert.ok(found.equal(dek))
  await assert.rejects(unwrapDek(old, source, { ...authority, kids: ['kms/1'] }), { code: 'old-generation' })
  const [before, now]: Record<string, unknown>[] = [JSON.parse(old), JSON.parse(record)]
  for (const name of ['iv', 'ciphertext', 'tag']) assert.notEqual(before?.[name], now?.[name])
})
