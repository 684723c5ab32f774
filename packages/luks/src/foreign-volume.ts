import type { Secret } from '@cryptvisor/secret'
import { parseForeignHeader } from './header.ts'
import { fieldOf, headerFieldsSizeBytes, headerLayout, luksMagic } from './header-layout.ts'
import type { ForeignVolume, Identified } from './identified-volume.ts'
import { identifyLuks1 } from './identify-luks1.ts'
import { identifyLuks2 } from './identify-luks2.ts'
import { binaryHeaderSizeBytes } from './luks2-layout.ts'
import { type ReadAt, VolumeReader } from './read-at.ts'
import { defaultWorkLimits, WorkBudget, type WorkLimits } from './work-limits.ts'

/** A foreign volume with its key. The caller disposes of the key. */
export interface OpenForeignVolume extends ForeignVolume {
  readonly volumeKey: Secret
}

/** Reads what a LUKS1 or LUKS2 volume of `sizeBytes` bytes says of itself; see `openForeign`. */
export async function inspectForeign(readAt: ReadAt, sizeBytes: number): Promise<ForeignVolume> {
  const { volume } = await identify(new VolumeReader(readAt, sizeBytes))
  return volume
}

/**
 * Opens a LUKS1 or LUKS2 volume that somebody else made, with a passphrase. `readAt` reads its `sizeBytes` bytes; no more
 * than its headers and key slots are read. A header may ask for no more work than `limits`. Throws a LuksError: the code
 * says what is damaged, not supported, or `wrong-passphrase` or `too-much-work`. What `readAt` throws is passed on.
 */
export async function openForeign(
  readAt: ReadAt,
  sizeBytes: number,
  passphrase: Secret,
  limits: WorkLimits = defaultWorkLimits,
): Promise<OpenForeignVolume> {
  const { volume, unlock } = await identify(new VolumeReader(readAt, sizeBytes))
  return { ...volume, volumeKey: await unlock(passphrase, new WorkBudget(limits)) }
}

async function identify(reader: VolumeReader): Promise<Identified> {
  const fields = await reader.read(0, Math.min(headerFieldsSizeBytes, reader.sizeBytes), 'the header')
  const hasMagic = fields.length >= luksMagic.length && fieldOf(fields, headerLayout.magic).equals(luksMagic)
  const version = hasMagic && fields.length >= 8 ? fieldOf(fields, headerLayout.version).readUInt16BE() : null
  // Version 2 has a second header, which may be there although the first one is not even recognizable.
  if (version === 2 || (version === null && reader.sizeBytes >= binaryHeaderSizeBytes)) {
    const luks2 = await identifyLuks2(reader)
    if (luks2 !== null) return luks2
  }
  return identifyLuks1(reader, parseForeignHeader(fields))
}
