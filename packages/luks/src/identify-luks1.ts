import type { Secret } from '@cryptvisor/secret'
import { ownCipher } from './cipher-spec.ts'
import type { Header } from './header.ts'
import { keyMaterialSizeBytes, payloadOffsetMaxBytes, sectorSizeBytes } from './header-layout.ts'
import { type Identified, payloadSizeOf } from './identified-volume.ts'
import { openKeySlot } from './key-slot.ts'
import { LuksError } from './luks-error.ts'
import { qemuHashes } from './luks-hash.ts'
import { firstThatOpens } from './open-slots.ts'
import type { VolumeReader } from './read-at.ts'
import type { WorkBudget } from './work-limits.ts'

/** What a LUKS1 volume with this header is. Throws a LuksError `truncated` when it ends before its payload. */
export function identifyLuks1(reader: VolumeReader, header: Header): Identified {
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

/** What is adopted is opened by QEMU and rewritten by us; `addKeySlot` refuses the same. */
function adoptionRefusalOf({ cipher, hash, payloadOffsetBytes, keySlots }: Header): string | null {
  if (cipher !== ownCipher) return `its cipher ${cipher} is read for import only`
  if (!qemuHashes.has(hash)) return `QEMU does not know its hash ${hash}`
  if (payloadOffsetBytes > payloadOffsetMaxBytes) {
    return `its payload lies at ${payloadOffsetBytes}, beyond ${payloadOffsetMaxBytes}`
  }
  if (keySlots.every(({ active }) => active)) return 'all its key slots are in use'
  return null
}
