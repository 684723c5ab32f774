import type { ChosenCopy, CopyName } from './choose-copy.ts'
import { inspectRecord, type NamedKek, type UnwrappedDek, wrapDek } from './key-record.ts'
import { KeyRecordError } from './key-record-error.ts'

/** A record made anew, and the generation that it has. */
export interface RewrappedRecord {
  readonly record: string
  readonly generation: number
}

/** A copy to write. */
export interface RecordWrite extends RewrappedRecord {
  readonly name: CopyName
}

/**
 * Wraps a DEK that came out of its record anew, for `keks` alone, as the next generation: fresh content key and IV, all else
 * as it was. Where a record is a file that is replaced whole (`vm.keysafe`, `<layer>.key`) this is the whole of a shallow
 * rekey. Throws as `wrapDek` does.
 */
export async function rewrapDek({ dek, header }: UnwrappedDek, keks: readonly NamedKek[]): Promise<RewrappedRecord> {
  const generation = header.generation + 1
  return { record: await wrapDek({ dek, keks, header: { ...header, generation } }), generation }
}

/**
 * The writes of a shallow rekey from `source` to `target` of a record in two copies; write, sync and read back each before
 * the next. From an undisturbed record they are: both KEKs into copy A, the new one alone into B, the same into A. A copy
 * that counts is never overwritten before another counts. After a crash, choose again and ask again: what is left comes
 * out, and nothing (an empty list) when neither copy names `source` any more. Throws a KeyRecordError `not-a-recipient` for
 * a record that names neither of the two, or a third; else as `wrapDek` does.
 */
export async function shallowRekeyWrites(
  chosen: ChosenCopy,
  source: NamedKek,
  target: NamedKek,
): Promise<readonly RecordWrite[]> {
  const { kids } = inspectRecord(chosen.record)
  const stranger = kids.find((kid) => kid !== source.kid && kid !== target.kid)
  if (stranger !== undefined) {
    throw new KeyRecordError(
      'not-a-recipient',
      `the key record names ${stranger}, it cannot be rekeyed from ${source.kid} to ${target.kid}`,
    )
  }
  const { name, record, header } = chosen
  const other: CopyName = name === 'A' ? 'B' : 'A'
  if (!kids.includes(source.kid)) {
    return chosen.inStep ? [] : [{ name: other, record, generation: header.generation }]
  }
  if (kids.includes(target.kid) && !chosen.inStep) {
    const last = await rewrapDek(chosen, [target])
    return [
      { name: other, ...last },
      { name, ...last },
    ]
  }
  // In step, either copy may be overwritten first: it is A.
  const [first, second] = chosen.inStep ? (['A', 'B'] as const) : [other, name]
  const both = await rewrapDek(chosen, [source, target])
  const last = await rewrapDek({ ...chosen, header: { ...header, generation: both.generation } }, [target])
  return [
    { name: first, ...both },
    { name: second, ...last },
    { name: first, ...last },
  ]
}
