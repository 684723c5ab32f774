import type { KeyReference } from '@cryptvisor/host-agent-api'
import { timeText } from '../../clock.ts'
import type { Database } from '../context.ts'
import type { EraseState } from './erase-state.ts'
import { nativeWarnings, sharedOnceWith } from './vm-key-history.ts'

/** What the erasure cannot reach, in sentences: a certificate that leaves it out would say more than is true. */
export async function notReached(database: Database, state: EraseState): Promise<string[]> {
  const keys = state.keys.map(({ key }) => key)
  const { vm, hosts } = state
  const absent = hosts.filter(({ outcome }) => outcome === 'absent').map(({ name }) => name)
  const keeping = hosts.flatMap(({ name, keptUntil }) =>
    keptUntil == null ? [] : [`${name} until ${timeText(keptUntil)}`],
  )
  const plain = vm.disks.filter(({ encryption }) => encryption === null)
  const devices = vm.disks.filter(({ device }) => device !== undefined)
  const shared = await sharedOnceWith(database, keys, vm.vmId)
  const exposed = await exposedBefore(database, keys)
  const providers = [...new Set(keys.map(({ provider }) => provider))].join(', ')
  return [
    `Backups and replicas of the key servers of provider ${providers}: whoever restores one has the keys again. Have its operator destroy them there, too.`,
    ...(await nativeWarnings(database, keys)),
    ...(absent.length === 0
      ? []
      : [
          `Hosts that were not connected: ${absent.join(', ')}. They may hold keys in memory until their agents start anew or connect; then they are told to forget them.`,
        ]),
    ...(keeping.length === 0
      ? []
      : [
          `Of these, hosts that keep keys across restarts, sealed to their TPMs: ${keeping.join(', ')} at the latest, unless they connect before, or their TPMs are cleared. Who has such a host whole has the keys until then.`,
        ]),
    ...(exposed.length === 0
      ? []
      : [`Hosts that were removed without confirming that they forgot these keys: ${exposed.join(', ')}.`]),
    ...(shared.length === 0
      ? []
      : [
          `VMs that were wrapped with the same key once: ${shared.join(', ')}. A clone that was made with the same keys holds the same data keys: old copies of this VM’s disks open with them until it is rekeyed deeply.`,
        ]),
    'Copies of a key that somebody took from a host or a key server while it was in use.',
    'Old copies of disks, of their headers and of whole datastores stay where they are; without the keys they are ciphertext.',
    'What lay plain on a datastore before the VM was encrypted, was exported, or was backed up plain: files were removed, and media may hold their blocks.',
    ...(plain.length === 0
      ? []
      : [
          `Disks that were plain: ${plain.map(({ number }) => number).join(', ')}. Their files were removed, not overwritten.`,
        ]),
    ...(devices.length === 0
      ? []
      : [
          `Block devices: ${devices.map(({ number, device }) => `disk ${number} on ${device}`).join(', ')}. What lies on them stays: ciphertext without a key where the disk was encrypted, else plain.`,
        ]),
    'Memory of the guest that was written elsewhere, such as by software within it.',
  ]
}

/** Names of removed hosts that may still hold one of the keys. */
async function exposedBefore(database: Database, keys: readonly KeyReference[]): Promise<string[]> {
  if (keys.length === 0) return []
  const rows = await database
    .selectFrom('event')
    .select('host_name')
    .distinct()
    .where('type', '=', 'host.crypto.key-exposed')
    .where(
      'key_id',
      'in',
      keys.map(({ keyId }) => keyId),
    )
    .orderBy('host_name')
    .execute()
  return rows.flatMap(({ host_name }) => (host_name === null ? [] : [host_name]))
}
