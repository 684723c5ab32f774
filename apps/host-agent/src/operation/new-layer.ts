import type { DiskAuthority, KeyReference } from '@cryptvisor/host-agent-api'
import { recordKeySizeBytes } from '@cryptvisor/key-record'
import { Secret } from '@cryptvisor/secret'
import { createLayer, type Image } from '../data-path/index.ts'
import { layerName } from '../disk/layer-file.ts'
import { newRecordHeader } from '../disk/open-disk.ts'
import type { Work } from './work.ts'

/** The layer of a disk that is added, under a DEK of its own that nobody needs again; plain where `key` is null. */
export async function newLayer(
  { folder, keys }: Work,
  disk: DiskAuthority,
  key: KeyReference | null,
  stack: DisposableStack,
): Promise<Image> {
  const place = folder.place(layerName(disk))
  if (key === null) return { kind: 'plain', place, sizeBytes: disk.payloadBytes }
  const dek = stack.use(Secret.random(recordKeySizeBytes))
  const target = await createLayer({ place, header: newRecordHeader(disk), dek, keks: [keys.one(key)] })
  stack.use(target.volumeKey)
  return target
}
