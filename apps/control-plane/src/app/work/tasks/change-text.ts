import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { NewEvent } from '../../ports.ts'
import type { Purpose } from '../keys/kms.ts'
import type { Failure, VmChange } from './task-context.ts'

/** Whether the change makes or uses keys: then its failure is an event too. */
export function isCryptographic(change: VmChange): boolean {
  switch (change.kind) {
    case 'encrypt':
    case 'decrypt':
    case 'shallow-rekey':
    case 'deep-rekey':
    case 'restore-header':
      return true
    case 'create-vm':
    case 'import-volume':
      return change.encrypted
    case 'clone-vm':
      return change.source.encryption !== null
    case 'add-disk':
      return change.disk.encrypted
    case 'attach-disk':
      return change.disk.encryption !== null
    case 'import-disk':
    case 'relabel':
    case 'detach-disk':
    case 'delete-vm':
      return false
  }
}

/** What a change is about, in words: «VM Home and disks 0, 1». */
function partsText(
  change: Extract<VmChange, { kind: 'encrypt' | 'decrypt' | 'shallow-rekey' | 'deep-rekey' | 'relabel' }>,
): string {
  const numbers = change.disks.map((disk) => disk.number).toSorted((one, other) => one - other)
  const disks = numbers.length === 0 ? [] : [`${numbers.length === 1 ? 'disk' : 'disks'} ${numbers.join(', ')}`]
  return [...(change.home === null || change.home === false ? [] : ['VM Home']), ...disks].join(' and ')
}

/** The events that tell of a change which succeeded. `retired`: the KEKs that nothing uses any more. */
export function successEvents(
  change: VmChange,
  purpose: Purpose,
  key: KeyReference | null,
  retired: readonly KeyReference[],
): NewEvent[] {
  const { host, vm, user, task } = purpose
  const event = (type: NewEvent['type'], named: KeyReference | null, text: string): NewEvent => ({
    type,
    host,
    vm,
    provider: named?.provider ?? null,
    keyId: named?.keyId ?? null,
    text,
    user,
    task,
  })
  const kept = retired.length === 0 ? '' : `. ${keptText(retired)}`
  switch (change.kind) {
    case 'create-vm': {
      const created = event('vm.created', key, `VM ${vm} was created on host ${host}`)
      if (!change.encrypted) return [created]
      return [created, event('vm.crypto.encrypted', key, `VM ${vm}: created encrypted with key ${named(key)}`)]
    }
    case 'delete-vm':
      return [event('vm.deleted', retired[0] ?? null, `VM ${vm} was deleted with its files${kept}`)]
    case 'add-disk': {
      const { number, encrypted } = change.disk
      const added = event('vm.disk-added', encrypted ? key : null, `Disk ${number} was added to VM ${vm}`)
      if (!encrypted) return [added]
      return [
        added,
        event('vm.crypto.encrypted', key, `VM ${vm}: disk ${number} added encrypted with key ${named(key)}`),
      ]
    }
    case 'import-disk':
      return [event('vm.disk-added', null, `Disk ${change.number} of VM ${vm} was imported`)]
    case 'import-volume':
      return importedVolume(change, event, vm, key)
    case 'encrypt':
      return [event('vm.crypto.encrypted', key, `VM ${vm}: ${partsText(change)} encrypted with key ${named(key)}`)]
    case 'decrypt':
      return [event('vm.crypto.decrypted', key, `VM ${vm}: ${partsText(change)} decrypted${kept}`)]
    case 'shallow-rekey':
    case 'deep-rekey': {
      const depth = change.kind === 'deep-rekey' ? 'deep' : 'shallow'
      const before = change.oldKeys.map(named).join(', ')
      const text = `VM ${vm}: ${partsText(change)} rekeyed (${depth}): key ${named(key)} in place of key ${before}${kept}`
      return [event('vm.crypto.rekeyed', key, text)]
    }
    case 'relabel': {
      const policies = [...new Set([change.home, ...change.disks].flatMap((part) => part?.policy ?? []))]
      const named = policies.map((policy) => `«${policy}»`).join(' and ')
      const text = `VM ${vm}: ${partsText(change)} got the storage policy ${named}; nothing was encrypted, decrypted or rekeyed`
      return [event('vm.policy.changed', null, text)]
    }
    case 'detach-disk': {
      const { number, remove } = change
      if (remove) {
        return [
          event('vm.disk-removed', retired[0] ?? null, `Disk ${number} of VM ${vm} was removed with its data${kept}`),
        ]
      }
      const text = `Disk ${number} was detached from VM ${vm} and lost its storage policy; its layer stays on the datastore («disk list --detached»)`
      return [event('vm.disk-detached', null, text)]
    }
    case 'attach-disk': {
      const { number, layerId, policy } = change.disk
      const text = `Layer ${layerId} was attached to VM ${vm} as disk ${number}, with storage policy «${policy}»`
      return [event('vm.disk-attached', key, text)]
    }
    case 'restore-header':
      return [event('vm.header-restored', key, `The header of disk ${change.number} of VM ${vm} was restored`)]
    case 'clone-vm': {
      const { source, keys } = change
      const created = event('vm.created', key, `VM ${vm} was made on host ${host} as a clone of VM ${source.name}`)
      if (source.encryption === null) return [created]
      const how = keys === 'new' ? `encrypted anew with key ${named(key)}` : `with the keys of VM ${source.name}`
      return [created, event('vm.crypto.encrypted', key, `VM ${vm}: cloned ${how}`)]
    }
  }
}

function importedVolume(
  { number, mode, encrypted }: Extract<VmChange, { kind: 'import-volume' }>,
  event: (type: NewEvent['type'], named: KeyReference | null, text: string) => NewEvent,
  vm: string | null,
  key: KeyReference | null,
): NewEvent[] {
  const how = mode === 'adopt' ? 'adopted from' : 'imported from'
  const added = event('vm.disk-added', key, `Disk ${number} of VM ${vm} was ${how} a LUKS volume`)
  if (!encrypted) return [added]
  const text =
    mode === 'adopt'
      ? `VM ${vm}: disk ${number} adopted with key ${named(key)}; old copies of its volume still open with the old passphrase until a deep rekey`
      : `VM ${vm}: disk ${number} encrypted with key ${named(key)}`
  return [added, event('vm.crypto.encrypted', key, text)]
}

/** The event that tells of a change which did not happen. `key` is named as far as it exists. */
export function failureEvent(
  change: VmChange,
  purpose: Purpose,
  key: { readonly provider: string | null; readonly keyId: string | null },
  failure: Failure,
): NewEvent {
  const { host, vm, user, task } = purpose
  const what = `VM ${vm}: ${changeText(change)}`
  // A header that was written in part is restored again: its disk is not as it was, and the message says so.
  const left = change.kind === 'restore-header' ? '' : ', and all is as it was'
  const text =
    failure.state === 'cancelled' ? `${what} was cancelled${left}` : `${what} failed${left}: ${failure.message}`
  return { type: 'vm.crypto.failed', host, vm, provider: key.provider, keyId: key.keyId, text, user, task }
}

function changeText(change: VmChange): string {
  switch (change.kind) {
    case 'create-vm':
      return 'making it'
    case 'delete-vm':
      return 'deleting it'
    case 'add-disk':
      return `adding disk ${change.disk.number}`
    case 'import-disk':
    case 'import-volume':
      return `importing disk ${change.number}`
    case 'encrypt':
      return `encrypting ${partsText(change)}`
    case 'decrypt':
      return `decrypting ${partsText(change)}`
    case 'shallow-rekey':
    case 'deep-rekey':
      return `rekeying ${partsText(change)}`
    case 'relabel':
      return `giving ${partsText(change)} another storage policy`
    case 'detach-disk':
      return `${change.remove ? 'removing' : 'detaching'} disk ${change.number}`
    case 'attach-disk':
      return `attaching layer ${change.disk.layerId} as disk ${change.disk.number}`
    case 'restore-header':
      return `restoring the header of disk ${change.number}`
    case 'clone-vm':
      return `cloning it from VM ${change.source.name}`
  }
}

function named(key: KeyReference | null): string {
  return key === null ? 'of the VM' : `${key.keyId} of provider ${key.provider}`
}

function keptText(keys: readonly KeyReference[]): string {
  const names = keys.map((key) => `${key.keyId} of provider ${key.provider}`).join(', ')
  return `The hosts forget key ${names}; it stays in its key server, since old backups may need it`
}
