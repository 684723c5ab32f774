import { type Identified, payloadSizeOf } from './identified-volume.ts'
import { chooseLuks2Header } from './luks2-choose-header.ts'
import { parseMetadata } from './luks2-metadata.ts'
import { unlockLuks2 } from './luks2-unlock.ts'
import type { VolumeReader } from './read-at.ts'

/** What a LUKS2 volume is; `null` when neither of its headers is there. Throws a LuksError for what is amiss with it. */
export async function identifyLuks2(reader: VolumeReader): Promise<Identified | null> {
  const chosen = await chooseLuks2Header(reader)
  if (chosen === null) return null
  const metadata = parseMetadata(chosen.header)
  const { cipher, unitSizeBytes, offsetBytes, sizeBytes, ivTweak } = metadata.segment
  const { warnings, payloadSizeBytes } = payloadSizeOf(reader, offsetBytes, unitSizeBytes, sizeBytes)
  return {
    volume: {
      version: 2,
      ...{
        uuid: chosen.header.uuid,
        cipher,
        unitSizeBytes,
        payloadOffsetBytes: offsetBytes,
        payloadSizeBytes,
        ivTweak,
      },
      warnings: [...chosen.warnings, ...metadata.warnings, ...warnings],
      adoptionRefusal: 'QEMU does not open LUKS2',
    },
    unlock: (passphrase, budget) => unlockLuks2(reader, metadata, passphrase, budget),
  }
}
