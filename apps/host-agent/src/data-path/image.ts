import { type DataUnitSizeBytes, dataUnitSizeBytes } from '@cryptvisor/crypto'
import type { CipherName } from '@cryptvisor/luks'
import type { Secret } from '@cryptvisor/secret'
import type { Place } from './place.ts'

/** A file or device with the bytes of a disk image as they are. */
export interface PlainImage {
  readonly kind: 'plain'
  readonly place: Place
  /** Exact size of a file from `offsetBytes` on; a device may hold more. */
  readonly sizeBytes: number
  /** Where it begins: after the header of a volume whose ciphertext is taken as it lies. 0 where it is left out. */
  readonly offsetBytes?: number
}

/** A LUKS volume whose payload holds the bytes of a disk image. */
export interface LuksImage {
  readonly kind: 'luks'
  readonly place: Place
  readonly payloadOffsetBytes: number
  /** Exact size of the image; the payload is padded with zeros to whole data units. */
  readonly sizeBytes: number
  readonly volumeKey: Secret
  /** Of the payload's data units: 512 in all that we write, up to 4096 in some of what we import. */
  readonly unitSizeBytes?: DataUnitSizeBytes
  /** Of a volume that somebody else made, which is only read; left out: aes-xts-plain64 that counts from 0. */
  readonly foreign?: ForeignCipher
}

/** How the data units of a foreign volume are encrypted. */
export interface ForeignCipher {
  readonly cipher: CipherName
  /** Added to every sector number before it becomes a tweak. */
  readonly ivTweak: number
}

/** One side of a transfer. */
export type Image = PlainImage | LuksImage

/** Where the image's first byte lies in its file. */
export function offsetBytesOf(image: Image): number {
  return image.kind === 'luks' ? image.payloadOffsetBytes : (image.offsetBytes ?? 0)
}

/** How large the file of an image is, or how much of its device it takes. */
export function fileSizeBytesOf(image: Image): number {
  return image.kind === 'luks'
    ? image.payloadOffsetBytes + paddedSizeBytes(image.sizeBytes, image.unitSizeBytes)
    : (image.offsetBytes ?? 0) + image.sizeBytes
}

/** `sizeBytes` up to whole data units. */
export function paddedSizeBytes(sizeBytes: number, unitSizeBytes: number = dataUnitSizeBytes): number {
  return Math.ceil(sizeBytes / unitSizeBytes) * unitSizeBytes
}
