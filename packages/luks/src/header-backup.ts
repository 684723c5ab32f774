import { hash } from 'node:crypto'
import { parseHeader } from './header.ts'
import { checkReachesPayload } from './key-slot.ts'
import { LuksError } from './luks-error.ts'

/**
 * A backup of a header is a preamble of one sector and then all bytes up to the payload, key record copies too, which
 * `cryptsetup luksHeaderBackup` would leave out. The preamble is a line of JSON and zeros, so that `head -1` shows what it
 * is and `tail -c +513` gives the bytes to write back.
 */
const preambleSizeBytes = 512
const format = 'cryptvisor-luks-header'

/** What a backup says of itself, and what the volume to restore it to must be. */
export interface BackedUpVolume {
  /** The UUID in the LUKS header, lower case. */
  readonly uuid: string
  readonly payloadOffsetBytes: number
}

/**
 * Makes a backup of a LUKS1 volume's header from all its bytes up to the payload. It opens the volume as the header does,
 * also after a key slot or the key record was replaced: keep it like the disk. Throws what `parseHeader` throws, or a
 * LuksError `truncated`.
 */
export function backupHeader(bytes: Uint8Array): Uint8Array {
  const header = parseHeader(bytes)
  checkReachesPayload(bytes, header)
  const { uuid, payloadOffsetBytes } = header
  const content = bytes.subarray(0, payloadOffsetBytes)
  const preamble = { format, version: 1, uuid, payloadOffsetBytes, sha256: hash('sha256', content) }
  const backup = new Uint8Array(preambleSizeBytes + content.length)
  backup.set(Buffer.from(`${JSON.stringify(preamble)}\n`))
  backup.set(content, preambleSizeBytes)
  return backup
}

/** The volume that a backup is to be restored to. */
export interface VolumeToRestore extends Pick<BackedUpVolume, 'uuid'> {
  /** `null`: the caller compares it with what the volume's key record says, before anything is written. */
  readonly payloadOffsetBytes: number | null
}

/**
 * Takes a backup apart: all bytes up to the payload, to be written back at the start of `volume`. Throws a LuksError:
 * `bad-backup` for a damaged one, `other-volume` for one of another UUID or another payload offset, which would ruin the
 * disk.
 */
export function restoreHeader(backup: Uint8Array, volume: VolumeToRestore): Uint8Array {
  const preamble = readPreamble(backup)
  const content = Uint8Array.from(backup.subarray(preambleSizeBytes))
  if (content.length !== preamble.payloadOffsetBytes) {
    throw new LuksError(
      'bad-backup',
      `the header backup holds ${content.length} bytes, its preamble says ${preamble.payloadOffsetBytes}`,
    )
  }
  if (hash('sha256', content) !== preamble.sha256) {
    throw new LuksError('bad-backup', 'the header backup fails its checksum: it is damaged')
  }
  const header = parseHeader(content)
  if (header.uuid !== preamble.uuid || header.payloadOffsetBytes !== content.length) {
    throw new LuksError('bad-backup', 'the header backup holds another header than its preamble says')
  }
  if (header.uuid !== volume.uuid) {
    throw new LuksError('other-volume', `the header backup is of LUKS volume ${header.uuid}, not of ${volume.uuid}`)
  }
  if (volume.payloadOffsetBytes !== null && header.payloadOffsetBytes !== volume.payloadOffsetBytes) {
    throw new LuksError(
      'other-volume',
      `the header backup has its payload at ${header.payloadOffsetBytes}, the volume at ${volume.payloadOffsetBytes}`,
    )
  }
  return content
}

function readPreamble(backup: Uint8Array): BackedUpVolume & { readonly sha256: string } {
  const sector = Buffer.from(backup.subarray(0, preambleSizeBytes)).toString('latin1')
  const line = backup.length < preambleSizeBytes ? undefined : /^(\{[ -~]*\})\n\0*$/.exec(sector)?.[1]
  if (line === undefined) throw new LuksError('bad-backup', 'this is not a header backup: its preamble is none')
  const { format: found, version, uuid, payloadOffsetBytes, sha256, ...rest } = parsed(line)
  if (found !== format || version !== 1) {
    throw new LuksError('bad-backup', `this is not a header backup of format ${format}, version 1`)
  }
  if (
    typeof uuid !== 'string' ||
    typeof payloadOffsetBytes !== 'number' ||
    typeof sha256 !== 'string' ||
    Object.keys(rest).length > 0
  ) {
    throw new LuksError('bad-backup', 'the preamble of the header backup must have uuid, payloadOffsetBytes and sha256')
  }
  return { uuid, payloadOffsetBytes, sha256 }
}

function parsed(line: string): Record<string, unknown> {
  try {
    // A text that begins and ends with braces is an object, if it is JSON.
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    throw new LuksError('bad-backup', 'the preamble of the header backup is not JSON')
  }
}
