import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { openSource } from '../data-path/index.ts'
import { openDisk } from '../disk/open-disk.ts'
import type { Conversion } from './conversion.ts'
import type { JournalKey } from './start-journal.ts'
import type { Work } from './work.ts'

/** Opens an encrypted disk to read it, with what its key record says; all of it goes with `stack`. */
export async function openEncryptedSource(
  work: Work,
  disk: DiskAuthority,
  stack: AsyncDisposableStack,
): Promise<Pick<Conversion, 'source' | 'watched'> & JournalKey> {
  const keks = work.keys.of(disk.encryption?.keys ?? [])
  const layer = stack.use(await openDisk(work.folder, disk, keks))
  if (!layer.inStep) work.warn(`disk ${disk.number}: the two copies of its key record are not the same`)
  const watched = stack.use(await openSource(layer.image))
  return { source: layer.image, watched, dek: layer.dek, keks, header: layer.record }
}
