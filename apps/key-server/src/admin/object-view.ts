import type { ManagedObject } from '@cryptvisor/key-server-api'
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
    attributes: allAttributes(object, null).map((attribute) => ({
      name: attribute.attributeName,
      index: attribute.attributeIndex ?? 0,
      value: toJson(attribute.attributeValue),
    })),
  }
}

/** Dates in ISO 8601, bytes in hex, large numbers as text. */
function toJson(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]))
}
