import { type DataUnitSizeBytes, dataUnitSizeBytes } from '@cryptvisor/crypto'
import { createDecryptor, type DataUnitDecryptor, ownCipher } from '@cryptvisor/luks'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { readAt } from './file-bytes.ts'
import { type Image, type LuksImage, offsetBytesOf, paddedSizeBytes } from './image.ts'
import { openImageFile } from './image-file.ts'

/** The plaintext of an image's first `sizeBytes` bytes, or of all it has. Rejects with a DataPathError. */
export async function readHead(image: Image, sizeBytes: number): Promise<Uint8Array> {
  const { place } = image
  const wantedBytes = Math.min(sizeBytes, image.sizeBytes)
  const bytes = new Uint8Array(
    image.kind === 'luks' ? paddedSizeBytes(wantedBytes, unitSizeBytesOf(image)) : wantedBytes,
  )
  await using file = await openImageFile(place, 'read')
  const count = await attempt(`cannot read ${place.path}`, () => readAt(file, bytes, offsetBytesOf(image)))
  if (count < bytes.length) throw new DataPathError('truncated', `${place.path} ends before its image does`)
  if (image.kind === 'luks') {
    using decryptor = decryptorOf(image)
    decryptor.decrypt(bytes, 0)
  }
  return bytes.subarray(0, wantedBytes)
}

/** What decrypts the payload of a volume, ours or somebody else's. */
export function decryptorOf(image: LuksImage): DataUnitDecryptor {
  const { cipher, ivTweak } = image.foreign ?? { cipher: ownCipher, ivTweak: 0 }
  return createDecryptor(image.volumeKey, { cipher, ivTweak, unitSizeBytes: unitSizeBytesOf(image) })
}

/** Of the data units of a payload. */
export function unitSizeBytesOf({ unitSizeBytes = dataUnitSizeBytes }: LuksImage): DataUnitSizeBytes {
  return unitSizeBytes
}
