import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { type Conversion, checkSources, convertAll } from './conversion.ts'
import { planCopies } from './plan-copies.ts'
import { beginCopying, type JournalKey, startJournal } from './start-journal.ts'
import type { Made, Work } from './work.ts'

/**
 * Makes the new layers of an operation with a journal, from the room that they need to the state `ready`: `home` is VM Home's
 * key where that gets a new one or has to be opened, `rewriteHome` what is done to VM Home once all layers are there.
 */
export async function convertLayers(
  work: Work,
  next: VmAuthority,
  home: JournalKey | null,
  parts: readonly (Conversion & Partial<JournalKey>)[],
  rewriteHome: () => Promise<void>,
): Promise<Made> {
  await planCopies(
    work,
    parts.map(({ source }) => source.sizeBytes),
  )
  const journal = await startJournal(
    work,
    next,
    [...(home === null ? [] : [home]), ...parts.filter(isKeyed)],
    parts.map(({ disk, watched }) => ({ layerId: disk.layerId, version: watched.version })),
  )
  await beginCopying(journal)
  await convertAll(work, journal, parts)
  await rewriteHome()
  await checkSources(parts)
  await journal.write('ready')
  return { next, journal }
}

/** A plain layer has no key. */
function isKeyed(part: Conversion & Partial<JournalKey>): part is Conversion & JournalKey {
  return part.dek !== undefined
}
