import { dataUnitSizeBytes } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'

/** A file with the bytes of a disk image as they are. */
export interface PlainImage {
  readonly kind: 'plain'
  readonly path: string
  /** Exact size of the file. */
  readonly sizeBytes: number
}

/** A LUKS1 file whose payload holds the bytes of a disk image. */
export interface LuksImage {
  readonly kind: 'luks'
  readonly path: string
  readonly payloadOffsetBytes: number
  /** Exact size of the image; the payload is padded with zeros to a multiple of 512. */
  readonly sizeBytes: number
  readonly volumeKey: Secret
}

/** One side of a transfer. */
export type Image = PlainImage | LuksImage

/** Where the image's first byte lies in its file. */
export function offsetBytesOf(image: Image): number {
  return image.kind === 'luks' ? image.payloadOffsetBytes : 0
}

/** How large the file of an image is. */
export function fileSizeBytesOf(image: Image): number {
  return image.kind === 'luks' ? image.payloadOffsetBytes + paddedSizeBytes(image.sizeBytes) : image.sizeBytes
}

/** `sizeBytes` up to whole data units. */
export function paddedSizeBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / dataUnitSizeBytes) * dataUnitSizeBytes
}
