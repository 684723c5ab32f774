import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { createXts } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'
import { mergeKey } from './af-splitter.ts'
import { type Header, type KeySlot, parseHeader } from './header.ts'
import { iterationsMax as foreignIterationsMax, headerLayout, keyMaterialSizeBytes } from './header-layout.ts'
import { LuksError } from './luks-error.ts'

const derive = promisify(pbkdf2)

/**
 * Opens a LUKS1 volume: tries `passphrase` on every active key slot and gives the volume key (LUKS On-Disk Format 1.2.3,
 * 4.3 "Master key recovery"). `bytes` is the beginning of the volume up to its payload. PBKDF2 runs on a thread of its
 * own. Slots with more than `iterationsMax` iterations are left alone: whoever can write the header chooses how long they
 * take. Throws a LuksError: `wrong-passphrase`, `no-active-slot`, `truncated`, `bad-iterations` when the digest has more, or
 * what `parseHeader` throws.
 */
export async function unlock(
  bytes: Uint8Array,
  passphrase: Secret,
  iterationsMax = foreignIterationsMax,
): Promise<Secret> {
  const header = parseHeader(bytes)
  if (header.digestIterations > iterationsMax) {
    throw new LuksError(
      'bad-iterations',
      `the digest has ${header.digestIterations} PBKDF2 iterations, expected at most ${iterationsMax}`,
    )
  }
  const slots = header.keySlots.filter(({ active, iterations }) => active && iterations <= iterationsMax)
  if (slots.length === 0) throw new LuksError('no-active-slot', 'no key slot is in use: nothing can open this volume')
  if (bytes.length < header.payloadOffsetBytes) {
    throw new LuksError(
      'truncated',
      `expected ${header.payloadOffsetBytes} bytes up to the payload, got ${bytes.length}`,
    )
  }
  for (const slot of slots) {
    const volumeKey = await openSlot(bytes, header, slot, passphrase)
    if (volumeKey !== null) return volumeKey
  }
  throw new LuksError(
    'wrong-passphrase',
    `none of the ${slots.length} active key slots of ${header.uuid} opens with this passphrase`,
  )
}

/** The volume key, or null when the passphrase is not this slot's. */
async function openSlot(bytes: Uint8Array, header: Header, slot: KeySlot, passphrase: Secret): Promise<Secret | null> {
  using slotKey = await pbkdf2Of(passphrase, slot.salt, slot.iterations, header.volumeKeySizeBytes, header)
  const sizeBytes = keyMaterialSizeBytes(header.volumeKeySizeBytes)
  const material = Uint8Array.from(bytes.subarray(slot.keyMaterialOffsetBytes, slot.keyMaterialOffsetBytes + sizeBytes))
  using xts = createXts(slotKey)
  xts.decrypt(material, 0)
  using split = Secret.from(material)
  using volumeKey = mergeKey(split, header.volumeKeySizeBytes, header.hash)
  const digestSizeBytes = headerLayout.digest.sizeBytes
  using digest = await pbkdf2Of(volumeKey, header.digestSalt, header.digestIterations, digestSizeBytes, header)
  return digest.expose((found) => timingSafeEqual(found, header.digest)) ? volumeKey.clone() : null
}

/** PBKDF2 (RFC 8018, 5.2) with the header's hash. */
export async function pbkdf2Of(
  secret: Secret,
  salt: Uint8Array,
  iterations: number,
  sizeBytes: number,
  { hash }: Pick<Header, 'hash'>,
): Promise<Secret> {
  return await secret.expose(async (bytes) => Secret.from(await derive(bytes, salt, iterations, sizeBytes, hash)))
}
