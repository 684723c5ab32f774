import type { KeyUser } from '@cryptvisor/control-plane-api'
import { usersText } from '../../approvals/impact.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { distinctKeys, keyText } from '../../key-reference.ts'
import type { Database } from '../context.ts'
import { findKey } from '../keys/key-rows.ts'
import type { VmRecord } from '../vms/vm-store.ts'

/** The most commands that one refusal has. */
const commandsMax = 20

/** Why a VM is not erased: what else its keys are for, and the commands that give that other keys, in their order. */
export async function sharedKeys(
  database: Database,
  vm: VmRecord,
  others: readonly KeyUser[],
): Promise<ControlPlaneError> {
  const names: string[] = []
  // Under a wrapping key each VM has data keys of its own; a clone under the key of the VM has the VM’s.
  const ofVm = new Set<string>()
  for (const key of distinctKeys(others.map((other) => other.key))) {
    names.push(keyText(key))
    if ((await findKey(database, key))?.owner_kind === 'vm') ofVm.add(keyText(key))
  }
  const commands = new Set<string>()
  // First the provider, or what is rekeyed would get the same key again.
  for (const { kind, owner } of others) {
    if (kind === 'wrapping-key') commands.add(`key-provider rotate-wrapping-key ${owner.name}`)
  }
  for (const { key, kind, id, owner } of others) {
    if (kind === 'vm-home' || kind === 'disk') {
      const isClone = ofVm.has(keyText(key))
      const command = `vm rekey '${owner.name}'`
      if (isClone) commands.delete(command)
      if (isClone || !commands.has(`${command} --deep`)) commands.add(isClone ? `${command} --deep` : command)
    }
    if (kind === 'detached-disk') commands.add(`disk remove --detached ${id}`)
    if (kind === 'task') commands.add(`task watch ${id}`)
    if (kind === 'unregistered-vm') commands.add(`vm register, and vm rekey, what lies on datastore ${owner.name}`)
  }
  const shown = [...commands].slice(0, commandsMax).map((command) => `«${command}»`)
  const more = commands.size > shown.length ? ` and ${commands.size - shown.length} more of the kind` : ''
  return new ControlPlaneError(
    'in-use',
    `VM ${vm.row.name} shares key ${names.join(', ')} with ${usersText(others)}, which would be lost with it. Give those keys of their own first: ${shown.join(', ')}${more}. Then ask again`,
  )
}
