import { LuksError } from './luks-error.ts'
import { type HeaderFinding, type Luks2Header, readLuks2Header } from './luks2-header.ts'
import { headerSizesBytes } from './luks2-layout.ts'
import type { VolumeReader } from './read-at.ts'

/** The header that counts, and what is to be said about the other one. */
export interface ChosenHeader {
  readonly header: Luks2Header
  readonly warnings: readonly string[]
}

/**
 * Chooses between the two headers of a LUKS2 volume: of those whose checksum is right, the one with the higher sequence
 * number (LUKS2 On-Disk Format, 2.2). Gives `null` when there is neither. Throws the first one's LuksError when both
 * are damaged.
 */
export async function chooseLuks2Header(reader: VolumeReader): Promise<ChosenHeader | null> {
  const first = await readLuks2Header(reader, 'first', 0)
  const second = await findSecond(reader, first)
  if (isHeader(first)) {
    if (isHeader(second)) return newerOf(first, second)
    return { header: first, warnings: [`the second LUKS2 header ${reasonOf(second)}; the first one was used`] }
  }
  if (isHeader(second)) {
    return { header: second, warnings: [`the first LUKS2 header ${reasonOf(first)}; the second one was used`] }
  }
  if (first === null && second === null) return null
  const { code } = first ?? second ?? new LuksError('bad-magic', 'no header')
  throw new LuksError(
    code,
    `neither LUKS2 header can be used: the first ${reasonOf(first)}; the second ${reasonOf(second)}`,
    { cause: new AggregateError([first, second].filter((finding) => finding !== null)) },
  )
}

/** The second header lies behind the first one; where that does not say how long it is, at one of the sizes there are. */
async function findSecond(reader: VolumeReader, first: HeaderFinding): Promise<HeaderFinding> {
  if (isHeader(first)) return await readLuks2Header(reader, 'second', first.sizeBytes)
  let damaged: LuksError | null = null
  for (const offsetBytes of headerSizesBytes) {
    const finding = await readLuks2Header(reader, 'second', offsetBytes)
    if (isHeader(finding)) return finding
    damaged ??= finding
  }
  return damaged
}

function newerOf(first: Luks2Header, second: Luks2Header): ChosenHeader {
  if (first.sequence === second.sequence) {
    const same = first.json === second.json && first.uuid === second.uuid
    return { header: first, warnings: same ? [] : ['the two LUKS2 headers differ; the first one was used'] }
  }
  const [header, name] = first.sequence > second.sequence ? [first, 'first'] : [second, 'second']
  return {
    header,
    warnings: [
      `the LUKS2 headers have the sequence numbers ${first.sequence} and ${second.sequence}; the ${name} one was used`,
    ],
  }
}

function isHeader(finding: HeaderFinding): finding is Luks2Header {
  return finding !== null && !(finding instanceof LuksError)
}

function reasonOf(finding: HeaderFinding): string {
  if (finding === null) return 'is not there'
  return finding instanceof LuksError ? `is of no use (${finding.message})` : 'is whole'
}
