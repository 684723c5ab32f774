import { createHash, randomBytes } from 'node:crypto'
import { createXts } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { splitKey } from '../af-splitter.ts'
import { fieldOf, luksMagic } from '../header-layout.ts'
import { deriveKey } from '../key-derivation.ts'
import { binaryHeaderSizeBytes, luks2Layout, secondMagic } from '../luks2-layout.ts'

/** A LUKS2 volume for tests: both headers of 16 KiB, one key slot of 1000 PBKDF2 iterations, the payload at 1 MiB. */
export const luks2HeaderSizeBytes = 16_384
export const luks2PayloadOffsetBytes = 1_048_576
export const luks2Uuid = '9b0e1c52-5a0c-4b57-8d6c-2f0d5e3a7c11'
const areaOffsetBytes = 2 * luks2HeaderSizeBytes
const areaSizeBytes = 258_048

/** Makes one, with `payloadSizeBytes` zeros for a payload. */
export async function luks2Volume(volumeKey: Secret, passphrase: Secret, payloadSizeBytes = 8192): Promise<Buffer> {
  const derivation = { type: 'pbkdf2', hash: 'sha256', iterations: 1000 } as const
  const [slotSalt, digestSalt] = [randomBytes(32), randomBytes(32)]
  const volume = Buffer.alloc(luks2PayloadOffsetBytes + payloadSizeBytes)
  using slotKey = await deriveKey(passphrase, { ...derivation, salt: slotSalt }, 64)
  using split = splitKey(volumeKey, 'sha256')
  using xts = createXts(slotKey)
  split.expose((plaintext) =>
    xts.encrypt(plaintext, 0, volume.subarray(areaOffsetBytes, areaOffsetBytes + plaintext.length)),
  )
  using digest = await deriveKey(volumeKey, { ...derivation, salt: digestSalt }, 32)
  const pbkdf2 = { type: 'pbkdf2', hash: 'sha256', iterations: 1000 }
  const area = { type: 'raw', offset: `${areaOffsetBytes}`, size: `${areaSizeBytes}`, encryption: 'aes-xts-plain64' }
  const json = {
    keyslots: {
      '0': {
        ...{ type: 'luks2', key_size: 64, af: { type: 'luks1', stripes: 4000, hash: 'sha256' } },
        ...{ area: { ...area, key_size: 64 }, kdf: { ...pbkdf2, salt: slotSalt.toString('base64') } },
      },
    },
    tokens: {},
    segments: {
      '0': {
        ...{ type: 'crypt', offset: `${luks2PayloadOffsetBytes}`, size: 'dynamic', iv_tweak: '0' },
        ...{ encryption: 'aes-xts-plain64', sector_size: 512 },
      },
    },
    digests: {
      '0': {
        ...{ ...pbkdf2, keyslots: ['0'], segments: ['0'], salt: digestSalt.toString('base64') },
        digest: digest.expose((bytes) => Buffer.from(bytes).toString('base64')),
      },
    },
    config: {
      json_size: `${luks2HeaderSizeBytes - binaryHeaderSizeBytes}`,
      keyslots_size: `${luks2PayloadOffsetBytes - 2 * luks2HeaderSizeBytes}`,
    },
  }
  for (const [index, header] of headersOf(volume).entries()) {
    writeBinary(header, index === 1)
    writeJson(header, JSON.stringify(json))
  }
  reseal(volume)
  return volume
}

/** The bytes of the first and the second header with their JSON areas. */
export function headersOf(volume: Buffer): readonly [first: Buffer, second: Buffer] {
  return [volume.subarray(0, luks2HeaderSizeBytes), volume.subarray(luks2HeaderSizeBytes, 2 * luks2HeaderSizeBytes)]
}

/** Puts a text into a header's JSON area. */
export function writeJson(header: Buffer, text: string): void {
  header.fill(0, binaryHeaderSizeBytes).write(text, binaryHeaderSizeBytes)
}

/** The text of a header's JSON area. */
export function readJson(header: Buffer): string {
  return header.toString('utf8', binaryHeaderSizeBytes, header.indexOf(0, binaryHeaderSizeBytes))
}

/** Makes the checksums of both headers right. */
export function reseal(volume: Buffer): void {
  for (const header of headersOf(volume)) {
    const checksum = fieldOf(header, luks2Layout.checksum).fill(0)
    createHash('sha256').update(header).digest().copy(checksum)
  }
}

function writeBinary(header: Buffer, second: boolean): void {
  fieldOf(header, luks2Layout.magic).set(second ? secondMagic : luksMagic)
  fieldOf(header, luks2Layout.version).writeUInt16BE(2)
  fieldOf(header, luks2Layout.headerSize).writeBigUInt64BE(BigInt(luks2HeaderSizeBytes))
  fieldOf(header, luks2Layout.sequence).writeBigUInt64BE(7n)
  fieldOf(header, luks2Layout.checksumAlgorithm).write('sha256')
  randomBytes(64).copy(fieldOf(header, luks2Layout.salt))
  fieldOf(header, luks2Layout.uuid).write(luks2Uuid)
  fieldOf(header, luks2Layout.headerOffset).writeBigUInt64BE(second ? BigInt(luks2HeaderSizeBytes) : 0n)
}
