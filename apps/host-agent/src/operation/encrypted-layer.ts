import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import type { NamedKek } from '@cryptvisor/key-record'
import type { Secret } from '@cryptvisor/secret'
import { createLayer, openLayer } from '../data-path/index.ts'
import { luksName } from '../disk/layer-file.ts'
import { newRecordHeader, recordAuthorityOf } from '../disk/open-disk.ts'
import type { Conversion } from './conversion.ts'
import type { JournalKey } from './start-journal.ts'
import type { Work } from './work.ts'

/**
 * How a new encrypted layer is made for `disk`, under a DEK of its own, or opened again. Its volume key goes with `stack`;
 * `volumeKey`: it takes that one instead of a new one.
 */
export function newEncryptedLayer(
  { folder }: Work,
  disk: DiskAuthority,
  keks: readonly NamedKek[],
  dek: Secret,
  stack: AsyncDisposableStack,
  volumeKey?: Secret,
): Pick<Conversion, 'create' | 'reopen'> & JournalKey {
  const place = folder.place(luksName(disk.layerId))
  const header = newRecordHeader(disk)
  return {
    dek,
    keks,
    header,
    create: async () => {
      const image = await createLayer({ place, header, dek, keks, ...(volumeKey === undefined ? {} : { volumeKey }) })
      stack.use(image.volumeKey)
      return image
    },
    reopen: async () => {
      const layer = stack.use(await openLayer(place, keks, recordAuthorityOf(disk), true))
      return layer.image
    },
  }
}
