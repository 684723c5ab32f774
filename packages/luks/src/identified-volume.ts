import type { DataUnitSizeBytes } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import type { CipherName } from './cipher-spec.ts'
import { LuksError } from './luks-error.ts'
import type { VolumeReader } from './read-at.ts'
import type { WorkBudget } from './work-limits.ts'

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

/** A volume whose header was read, and the way to its key. */
export interface Identified {
  readonly volume: ForeignVolume
  readonly unlock: (passphrase: Secret, budget: WorkBudget) => Promise<Secret>
}

/** How large a payload is; `sizeBytes` is null where it reaches to the end of the volume. */
export function payloadSizeOf(
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
