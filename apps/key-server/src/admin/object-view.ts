import type { ManagedObject } from '@cryptvisor/key-server-api'
import { describeAttribute } from '@cryptvisor/kmip'
import { advance, allAttributes, type StoredObject, stateOf } from '@cryptvisor/kmip-server'

/** An object as an administrator sees it: with the state that its dates give it, and without its value. */
export function objectView(stored: StoredObject, now: Date): ManagedObject {
  const object = advance(stored, now)
  return {
    id: object.id,
    owner: object.owner,
    objectType: object.objectType,
    state: stateOf(object),
    // Without the value there is no Digest, which may tell a password.
    attributes: allAttributes(object, null).map(describeAttribute),
  }
}
