import type { DataUnitSizeBytes } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { type CipherName, ownCipher } from './cipher-spec.ts'
import { type Header, parseForeignHeader } from './header.ts'
import {
  fieldOf,
  headerFieldsSizeBytes,
  headerLayout,
  keyMaterialSizeBytes,
  luksMagic,
  sectorSizeBytes,
} from './header-layout.ts'
import { openKeySlot } from './key-slot.ts'
import { LuksError } from './luks-error.ts'
import { qemuHashes } from './luks-hash.ts'
import { chooseLuks2Header } from './luks2-choose-header.ts'
import { binaryHeaderSizeBytes } from './luks2-layout.ts'
import { parseMetadata } from './luks2-metadata.ts'
import { unlockLuks2 } from './luks2-unlock.ts'
import { firstThatOpens } from './open-slots.ts'
import { type ReadAt, VolumeReader } from './read-at.ts'
import { defaultWorkLimits, WorkBudget, type WorkLimits } from './work-limits.ts'

/** What a LUKS volume that somebody else made says of itself. All of it is public, and none of it authenticated. */
export interface ForeignVolume {
  readonly version: 1 | 2
  readonly uuid: string
  readonly cipher: CipherName
  /** Bytes that are encrypted as one; sectors count 512 bytes whatever it is. */
  readonly unitSizeBytes: DataUnitSizeBytes
  readonly payloadOffsetBytes: number
  /** Whole data units. */
  readonly payloadSizeBytes: number
  /** Added to every sector number before it becomes a tweak. */
  readonly ivTweak: number
  /** What is amiss, yet in nobody's way: a damaged second header, key slots of unknown kinds. */
  readonly warnings: readonly string[]
  /** `null` where the volume can be adopted in place, else why it can only be imported. */
  readonly adoptionRefusal: string | null
}

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

interface Identified {
  readonly volume: ForeignVolume
  readonly unlock: (passphrase: Secret, budget: WorkBudget) => Promise<Secret>
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

function identifyLuks1(reader: VolumeReader, header: Header): Identified {
  const { cipher, uuid, payloadOffsetBytes } = header
  const unitSizeBytes = sectorSizeBytes
  const payload = payloadSizeOf(reader, payloadOffsetBytes, unitSizeBytes, null)
  return {
    volume: {
      version: 1,
      ...{ uuid, cipher, unitSizeBytes, payloadOffsetBytes },
      ...payload,
      ivTweak: 0,
      adoptionRefusal: adoptionRefusalOf(header),
    },
    unlock: (passphrase, budget) => unlockLuks1(reader, header, passphrase, budget),
  }
}

async function unlockLuks1(
  reader: VolumeReader,
  header: Header,
  passphrase: Secret,
  budget: WorkBudget,
): Promise<Secret> {
  const { hash, digestIterations, digestSalt } = header
  const slots = header.keySlots.filter(({ active }) => active)
  if (slots.length === 0) throw new LuksError('no-active-slot', 'no key slot is in use: nothing can open this volume')
  const digest = { type: 'pbkdf2', hash, iterations: digestIterations, salt: digestSalt } as const
  const sizeBytes = keyMaterialSizeBytes(header.volumeKeySizeBytes)
  return await firstThatOpens(
    slots.map((slot) => ({
      name: `key slot ${slot.index}`,
      derivations: [{ type: 'pbkdf2', hash, iterations: slot.iterations, salt: slot.salt }, digest],
      open: async () => {
        const what = `the key material of key slot ${slot.index}`
        return openKeySlot(header, slot, passphrase, await reader.read(slot.keyMaterialOffsetBytes, sizeBytes, what))
      },
    })),
    budget,
  )
}

/** QEMU must be able to open what is adopted. */
function adoptionRefusalOf({ cipher, hash }: Header): string | null {
  if (cipher !== ownCipher) return `its cipher ${cipher} is read for import only`
  if (!qemuHashes.has(hash)) return `QEMU does not know its hash ${hash}`
  return null
}

async function identifyLuks2(reader: VolumeReader): Promise<Identified | null> {
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

/** How large a payload is; `sizeBytes` is null where it reaches to the end of the volume. */
function payloadSizeOf(
  { sizeBytes: volumeSizeBytes }: VolumeReader,
  offsetBytes: number,
  unitSizeBytes: DataUnitSizeBytes,
  sizeBytes: number | null,
): { readonly payloadSizeBytes: number; readonly warnings: readonly string[] } {
  const end = offsetBytes + (sizeBytes ?? 0)
  if (end > volumeSizeBytes) {
    throw new LuksError(
      'truncated',
      sizeBytes === null
        ? `the volume has ${volumeSizeBytes} bytes and ends before its payload at ${offsetBytes}`
        : `the volume has ${volumeSizeBytes} bytes and ends before its payload does, at ${end}`,
    )
  }
  if (sizeBytes !== null) return { payloadSizeBytes: sizeBytes, warnings: [] }
  const restBytes = (volumeSizeBytes - offsetBytes) % unitSizeBytes
  return {
    payloadSizeBytes: volumeSizeBytes - offsetBytes - restBytes,
    warnings:
      restBytes === 0
        ? []
        : [`the last ${restBytes} bytes are no whole data unit, so they hold nothing of the payload`],
  }
}
