import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { type CopyContent, type CopyReport, chooseCopy } from './choose-copy.ts'
import { type NamedKek, wrapDek } from './key-record.ts'
import { KeyRecordError } from './key-record-error.ts'
import { changed, diskAuthority, diskHeader, namedKek } from './testing/records.ts'

const one = namedKek('kms/1')
const two = namedKek('kms/2')
const dek = Secret.random(32)
const authority = { ...diskAuthority, generationMin: 1 }
const empty: CopyContent = { state: 'empty' }
const damaged: CopyContent = { state: 'damaged', reason: 'torn' }

async function copy(
  generation: number,
  keks: readonly NamedKek[] = [one],
  key: Secret = dek,
): Promise<CopyContent & { text: string }> {
  const text = await wrapDek({ dek: key, keks, header: { ...diskHeader, generation } })
  return { state: 'text', text }
}

async function choose(A: CopyContent, B: CopyContent, keks: readonly NamedKek[] = [one]) {
  const chosen = await chooseCopy({ A, B }, keks, authority)
  using found = chosen.dek
  assert.ok(found.equal(dek))
  return chosen
}

const refusalOf = (report: CopyReport) => (report.state === 'refused' ? report.error.code : report.state)

test('two equal copies are in step', async () => {
  const same = await copy(3)
  const chosen = await choose(same, same)
  assert.equal(chosen.name, 'A')
  assert.ok(chosen.inStep)
  assert.deepEqual(chosen.reports, { A: { state: 'counts' }, B: { state: 'same' } })
})

test('copies that are the same text are opened once', async (context) => {
  const same = await copy(3)
  const from = context.mock.method(Secret, 'from')
  await choose(same, same)
  assert.equal(from.mock.callCount(), 1)
  from.mock.resetCalls()
  await choose(same, await copy(3))
  assert.equal(from.mock.callCount(), 2)
})

test('the higher generation counts, on either side', async () => {
  const [older, newer] = [await copy(3), await copy(4)]
  const first = await choose(newer, older)
  assert.equal(first.name, 'A')
  assert.equal(first.header.generation, 4)
  assert.deepEqual(first.reports.B, { state: 'older', generation: 3 })
  const second = await choose(older, newer)
  assert.equal(second.name, 'B')
  assert.equal(second.record, newer.text)
  assert.ok(!second.inStep)
})

test('a higher generation that does not authenticate does not count', async () => {
  const newer = await copy(4)
  const forged: CopyContent = {
    state: 'text',
    text: changed(newer.text, (jwe) => Object.assign(jwe, { tag: 'A'.repeat(22) })),
  }
  const chosen = await choose(forged, await copy(3))
  assert.equal(chosen.name, 'B')
  assert.equal(refusalOf(chosen.reports.A), 'wrong-kek')
})

test('one whole copy is enough, and the other is reported', async () => {
  assert.deepEqual((await choose(empty, await copy(3))).reports.A, empty)
  assert.deepEqual((await choose(await copy(3), damaged)).reports.B, damaged)
})

test('between the steps of a shallow rekey either KEK opens what names it', async () => {
  const both = await copy(4, [one, two])
  const newAlone = await copy(5, [two])
  const old = await copy(3, [one])
  assert.equal((await choose(both, old, [one])).name, 'A')
  assert.equal((await choose(both, old, [two])).name, 'A')
  assert.equal((await choose(both, newAlone, [two])).name, 'B')
  const oldAlone = await choose(both, newAlone, [one])
  assert.equal(oldAlone.name, 'A')
  assert.equal(refusalOf(oldAlone.reports.B), 'not-a-recipient')
  assert.equal((await choose(newAlone, newAlone, [one, two])).inStep, true)
})

test('the same wrapped anew is told apart from a copy in step', async () => {
  const chosen = await choose(await copy(3), await copy(3))
  assert.deepEqual(chosen.reports.B, { state: 'rewrapped' })
  assert.ok(!chosen.inStep)
})

test('two authentic copies that do not belong together are refused', async () => {
  using other = Secret.random(32)
  for (const [A, B] of [
    [await copy(3), await copy(3, [one], other)],
    [await copy(4), await copy(3, [one], other)],
  ] as const) {
    await assert.rejects(chooseCopy({ A, B }, [one], authority), { code: 'copies-conflict' })
  }
})

test('no DEK outlives a choice but the one that is given, whatever comes between', async (context) => {
  const from = context.mock.method(Secret, 'from')
  const made = () => from.mock.calls.flatMap(({ result }) => result ?? [])
  await choose(await copy(3), await copy(3))
  await choose(await copy(3), damaged)
  assert.equal(made().length, 3)
  using gone = Secret.random(32)
  gone[Symbol.dispose]()
  const keks = [one, { kid: two.kid, kek: gone }]
  await assert.rejects(chooseCopy({ A: await copy(3), B: await copy(3, [two]) }, keks, authority), /wiped/)
  assert.equal(made().length, 4)
  assert.ok(made().every(({ wiped }) => wiped))
})

test('when neither copy is of use the error says why for each', async () => {
  const old = await copy(3)
  const error = await chooseCopy({ A: old, B: damaged }, [one], { ...authority, generationMin: 4 }).catch(
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof KeyRecordError)
  assert.equal(error.code, 'no-valid-copy')
  assert.match(error.message, /copy A is refused: .*generation 3, older than 4/)
  assert.match(error.message, /copy B is damaged: torn/)
  assert.ok(error.cause instanceof AggregateError)
  assert.deepEqual(
    error.cause.errors.map((cause: KeyRecordError) => cause.code),
    ['old-generation'],
  )
  await assert.rejects(chooseCopy({ A: empty, B: empty }, [one], authority), { code: 'no-valid-copy' })
  await assert.rejects(chooseCopy({ A: old, B: old }, [two], authority), { code: 'no-valid-copy' })
})
