import { randomUUID } from 'node:crypto'
import { truncateSync } from 'node:fs'
import { placeIn } from '@cryptvisor/host-agent/data-path'
import { createLayer, openLayer } from '@cryptvisor/host-agent/layer-file'
import { payloadOffsetWrittenBytes } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { NodeStorage } from '@cryptvisor/storage'
import { median } from '../figures.ts'
import { mib } from './images.ts'

const roundCount = 50

/** Milliseconds that the agent takes to open one encrypted disk, from its file to its volume key: key record and LUKS header. */
export async function unlockMs(parent: string): Promise<number> {
  const unneeded = () => Promise.reject(new Error('nothing is locked or allocated here'))
  const storage = new NodeStorage({ lock: unneeded, allocate: unneeded })
  await using folder = await storage.openFolder(parent)
  if (folder === null) throw new Error(`${parent} is not there`)
  const place = placeIn(folder, 'unlock.luks')
  const [layerId, luksUuid] = [randomUUID(), randomUUID()]
  using dek = Secret.random(32)
  using kek = Secret.random(32)
  const keks = [{ kid: 'bench/1', kek }]
  const { volumeKey } = await createLayer({
    place,
    dek,
    keks,
    header: {
      ...({ kind: 'disk', layerId, luksUuid, generation: 1, cipher: 'aes-xts-plain64' } as const),
      ...({ payloadOffsetBytes: payloadOffsetWrittenBytes, payloadFormat: 'raw', payloadSizeBytes: mib } as const),
    },
  })
  volumeKey[Symbol.dispose]()
  truncateSync(place.path, payloadOffsetWrittenBytes + mib)
  const times: number[] = []
  for (let round = 0; round < roundCount; round++) {
    const start = performance.now()
    using _ = await openLayer(place, keks, { kind: 'disk', layerId, luksUuid, kids: ['bench/1'], generationMin: 1 })
    times.push(performance.now() - start)
  }
  await place.remove()
  return median(times)
}
