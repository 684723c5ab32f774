import type { EncryptionAuthority, VmAuthority } from '@cryptvisor/host-agent-api'
import { keyText } from '../../key-reference.ts'

/** Where what a datastore says of a VM departs from what is known here: one text each. None: they agree. */
export function differencesOf(known: VmAuthority, found: VmAuthority): string[] {
  const differences: string[] = []
  const differ = (what: string, here: string | number, there: string | number) => {
    if (here !== there) differences.push(`${what}: ${here} here, ${there} on the datastore`)
  }
  differ('VM', known.vmId, found.vmId)
  differ('generation', known.generation, found.generation)
  differ('VM Home', encryptionText(known.encryption), encryptionText(found.encryption))
  const foundDisks = new Map(found.disks.map((disk) => [disk.diskId, disk]))
  for (const disk of known.disks) {
    const other = foundDisks.get(disk.diskId)
    foundDisks.delete(disk.diskId)
    const name = `disk ${disk.number}`
    if (other === undefined) {
      differences.push(`${name}: here, not on the datastore`)
      continue
    }
    differ(`${name}, number`, disk.number, other.number)
    differ(`${name}, layer`, disk.layerId, other.layerId)
    differ(`${name}, format`, disk.format, other.format)
    differ(`${name}, size in bytes`, disk.virtualBytes, other.virtualBytes)
    differ(`${name}, image in bytes`, disk.payloadBytes, other.payloadBytes)
    differ(`${name}, device`, disk.device ?? 'none', other.device ?? 'none')
    differ(name, encryptionText(disk.encryption), encryptionText(other.encryption))
  }
  for (const disk of foundDisks.values()) differences.push(`disk ${disk.number}: not here, on the datastore`)
  return differences
}

/** Whether something that is encrypted here is plain there. */
export function becomesPlain(known: VmAuthority, found: VmAuthority): boolean {
  const isPlain = (one: EncryptionAuthority | null, other: EncryptionAuthority | null | undefined) =>
    one !== null && other === null
  return (
    isPlain(known.encryption, found.encryption) ||
    known.disks.some((disk) =>
      isPlain(disk.encryption, found.disks.find(({ diskId }) => diskId === disk.diskId)?.encryption),
    )
  )
}

function encryptionText(encryption: EncryptionAuthority | null): string {
  if (encryption === null) return 'plain'
  const { keys, generation, luksUuid } = encryption
  const volume = luksUuid === null ? '' : `, LUKS UUID ${luksUuid}`
  return `encrypted under ${keys.map(keyText).toSorted().join(' or ')}, key record ${generation}${volume}`
}
