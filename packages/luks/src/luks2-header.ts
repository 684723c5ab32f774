import { hash as digestOf } from 'node:crypto'
import { fieldOf, luksMagic } from './header-layout.ts'
import { LuksError } from './luks-error.ts'
import { checkHash, hashSizeBytesOf, opensslNameOf } from './luks-hash.ts'
import { binaryHeaderSizeBytes, headerSizesBytes, luks2Layout, secondMagic } from './luks2-layout.ts'
import type { VolumeReader } from './read-at.ts'

/** One of the two headers of a LUKS2 volume, whose checksum is right. */
export interface Luks2Header {
  readonly uuid: string
  /** Counts the rewrites of the header. */
  readonly sequence: bigint
  /** Size of this header with its JSON area; the other one has the same. */
  readonly sizeBytes: number
  /** The JSON area's text. */
  readonly json: string
}

/** Which header: the first begins the volume, the second follows it. */
export type HeaderPlace = 'first' | 'second'

/** A header, or why the one that is there is none. `null` where nothing says that there is one. */
export type HeaderFinding = Luks2Header | LuksError | null

/** Reads the header at `offsetBytes`. Only errors of the reader itself are thrown. */
export async function readLuks2Header(
  reader: VolumeReader,
  place: HeaderPlace,
  offsetBytes: number,
): Promise<HeaderFinding> {
  if (offsetBytes + binaryHeaderSizeBytes > reader.sizeBytes) {
    return place === 'first' ? new LuksError('truncated', 'the volume ends in its first header') : null
  }
  const binary = await reader.read(offsetBytes, binaryHeaderSizeBytes, `the ${place} header`)
  const magic = place === 'first' ? luksMagic : secondMagic
  if (!fieldOf(binary, luks2Layout.magic).equals(magic)) return null
  if (fieldOf(binary, luks2Layout.version).readUInt16BE() !== 2) return null
  try {
    const sizeBytes = checkSize(binary, place, offsetBytes)
    const bytes = Uint8Array.from(await reader.read(offsetBytes, sizeBytes, `the ${place} header`))
    checkChecksum(bytes, place)
    return {
      uuid: readUuid(bytes, place),
      sequence: fieldOf(bytes, luks2Layout.sequence).readBigUInt64BE(),
      sizeBytes,
      json: readJsonText(bytes.subarray(binaryHeaderSizeBytes), place),
    }
  } catch (error) {
    if (error instanceof LuksError) return error
    throw error
  }
}

function checkSize(binary: Uint8Array, place: HeaderPlace, offsetBytes: number): number {
  const sizeBytes = Number(fieldOf(binary, luks2Layout.headerSize).readBigUInt64BE())
  if (!headerSizesBytes.includes(sizeBytes)) {
    throw new LuksError('bad-field', `the ${place} header: its size of ${sizeBytes} bytes is none that LUKS2 has`)
  }
  const ownOffsetBytes = Number(fieldOf(binary, luks2Layout.headerOffset).readBigUInt64BE())
  if (ownOffsetBytes !== offsetBytes || (place === 'second' && offsetBytes !== sizeBytes)) {
    throw new LuksError(
      'bad-field',
      `the ${place} header lies at ${offsetBytes}, but says ${ownOffsetBytes} of itself with a size of ${sizeBytes}`,
    )
  }
  return sizeBytes
}

/** The checksum covers header and JSON area, with zeros in its own place (2.1, csum). */
function checkChecksum(bytes: Uint8Array, place: HeaderPlace): void {
  const hash = checkHash(textOf(bytes, 'checksumAlgorithm', place), `the ${place} header's checksum`)
  const field = fieldOf(bytes, luks2Layout.checksum)
  const found = Buffer.from(field)
  field.fill(0)
  const sizeBytes = hashSizeBytesOf(hash)
  const wanted = digestOf(opensslNameOf(hash), bytes, 'buffer')
  if (!found.subarray(0, sizeBytes).equals(wanted) || found.subarray(sizeBytes).some((byte) => byte !== 0)) {
    throw new LuksError('bad-checksum', `the ${place} header fails its checksum: it is damaged`)
  }
}

function readUuid(bytes: Uint8Array, place: HeaderPlace): string {
  const uuid = textOf(bytes, 'uuid', place)
  if (!/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(uuid)) {
    throw new LuksError('bad-uuid', `the ${place} header: its UUID is not one`)
  }
  return uuid.toLowerCase()
}

function textOf(bytes: Uint8Array, name: 'checksumAlgorithm' | 'uuid', place: HeaderPlace): string {
  const match = /^([!-~]+)\0+$/.exec(fieldOf(bytes, luks2Layout[name]).toString('latin1'))
  if (match?.[1] === undefined) {
    throw new LuksError('bad-text', `the ${place} header: its field ${name} is not a text that ends in zeros`)
  }
  return match[1]
}

/** The JSON area is one text and zeros to its end (3). */
function readJsonText(area: Uint8Array, place: HeaderPlace): string {
  const end = area.indexOf(0)
  if (end < 1 || area.subarray(end).some((byte) => byte !== 0)) {
    throw new LuksError('bad-json', `the ${place} header: its JSON area is not a text that ends in zeros`)
  }
  return Buffer.from(area.subarray(0, end)).toString('utf8')
}
