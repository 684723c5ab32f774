import { isDeepStrictEqual } from 'node:util'
import type { Authority } from './authority.ts'
import { type NamedKek, type UnwrappedDek, unwrapDek } from './key-record.ts'
import { KeyRecordError } from './key-record-error.ts'
import { parseRecord } from './record-text.ts'

/** What one of the two copies of a record holds; `RecordCopy` of the luks package has this form. */
export type CopyContent =
  | { readonly state: 'empty' }
  | { readonly state: 'text'; readonly text: string }
  | { readonly state: 'damaged'; readonly reason: string }

/** The two copies by their names. */
export type CopyName = 'A' | 'B'

/**
 * How a copy stands: it counts; it is the same text as the one that counts; it was wrapped anew at the same generation;
 * it is older; or it is of no use, and why.
 */
export type CopyReport =
  | { readonly state: 'counts' | 'same' | 'rewrapped' | 'empty' }
  | { readonly state: 'older'; readonly generation: number }
  | { readonly state: 'damaged'; readonly reason: string }
  | { readonly state: 'refused'; readonly error: KeyRecordError }

/** The copy that counts, opened. The caller disposes of the DEK. */
export interface ChosenCopy extends UnwrappedDek {
  readonly name: CopyName
  readonly record: string
  readonly reports: Readonly<Record<CopyName, CopyReport>>
  /** Whether both copies hold the same text. When not, a rewrite was cut short, and the other should be written again. */
  readonly inStep: boolean
}

type Opened = UnwrappedDek & { readonly name: CopyName; readonly record: string }
type Attempt = Opened | { readonly name: CopyName; readonly report: CopyReport }

/**
 * Chooses between the two copies of a record: the one that authenticates with the highest generation counts. `keks` are
 * those at hand; a copy opens with any that it names. Throws a KeyRecordError: `no-valid-copy` when neither opens, its
 * cause an AggregateError of the reasons; `copies-conflict` when both open at one generation with other contents.
 */
export async function chooseCopy(
  copies: Readonly<Record<CopyName, CopyContent>>,
  keks: readonly NamedKek[],
  expected: Authority,
): Promise<ChosenCopy> {
  using deks = new DisposableStack()
  const open = async (name: CopyName) => {
    const opened = await attempt(name, copies[name], keks, expected)
    if ('dek' in opened) deks.use(opened.dek)
    return opened
  }
  const first = await open('A')
  const attempts = [first, sameText(copies) ? again(first) : await open('B')] as const
  const [one, other] = attempts.filter((entry) => 'dek' in entry)
  if (one === undefined) throw noValidCopy(attempts)
  if (other === undefined) {
    const failed = attempts.find((entry) => 'report' in entry)
    return choice(one, failed?.report ?? { state: 'empty' })
  }
  const [newer, older] = other.header.generation > one.header.generation ? [other, one] : [one, other]
  return choice(newer, compare(newer, older))
}

/** Both copies are the same text in an undisturbed volume, which is then opened once. */
function sameText({ A, B }: Readonly<Record<CopyName, CopyContent>>): boolean {
  return A.state === 'text' && B.state === 'text' && A.text === B.text
}

/** What copy B is when it is the same text as A. */
function again(first: Attempt): Attempt {
  return 'dek' in first ? { name: 'B', report: { state: 'same' } } : { ...first, name: 'B' }
}

async function attempt(
  name: CopyName,
  content: CopyContent,
  keks: readonly NamedKek[],
  expected: Authority,
): Promise<Attempt> {
  if (content.state !== 'text') return { name, report: content }
  try {
    const { recipients } = parseRecord(content.text)
    const named = keks.find(({ kid }) => recipients.some((recipient) => recipient.kid === kid))
    if (named === undefined) {
      const kids = recipients.map(({ kid }) => kid).join(', ')
      throw new KeyRecordError('not-a-recipient', `none of the keys at hand is one that the key record names: ${kids}`)
    }
    return { name, record: content.text, ...(await unwrapDek(content.text, named, expected)) }
  } catch (error) {
    if (error instanceof KeyRecordError) return { name, report: { state: 'refused', error } }
    throw error
  }
}

/** How `other` stands to the copy that counts, both of which were authenticated. */
function compare(chosen: Opened, other: Opened): CopyReport {
  if (other.record === chosen.record) return { state: 'same' }
  const sameDek = other.dek.equal(chosen.dek)
  if (other.header.generation < chosen.header.generation && sameDek) {
    return { state: 'older', generation: other.header.generation }
  }
  if (sameDek && isDeepStrictEqual(other.header, chosen.header)) return { state: 'rewrapped' }
  throw new KeyRecordError(
    'copies-conflict',
    `both copies of the key record are authentic, yet they do not belong together (generations ${chosen.header.generation} and ${other.header.generation})`,
  )
}

/** What the caller gets: its DEK is the caller's own, those of both copies are wiped here. */
function choice(chosen: Opened, other: CopyReport): ChosenCopy {
  const counts: CopyReport = { state: 'counts' }
  return {
    ...chosen,
    dek: chosen.dek.clone(),
    reports: chosen.name === 'A' ? { A: counts, B: other } : { A: other, B: counts },
    inStep: other.state === 'same',
  }
}

function noValidCopy(attempts: readonly Attempt[]): KeyRecordError {
  const reasons = attempts.flatMap((entry) => ('report' in entry ? [{ name: entry.name, report: entry.report }] : []))
  const texts = reasons.map(({ name, report }) => `copy ${name} ${textOf(report)}`)
  const errors = reasons.flatMap(({ report }) => (report.state === 'refused' ? [report.error] : []))
  return new KeyRecordError('no-valid-copy', `the key record cannot be used: ${texts.join('; ')}`, {
    cause: new AggregateError(errors),
  })
}

function textOf(report: CopyReport): string {
  switch (report.state) {
    case 'damaged':
      return `is damaged: ${report.reason}`
    case 'refused':
      return `is refused: ${report.error.message}`
    case 'older':
      return `has the older generation ${report.generation}`
    case 'empty':
      return 'is empty'
    case 'counts':
    case 'same':
    case 'rewrapped':
      return 'is whole'
  }
}
