import {
  decodeAttributes,
  encodeAttributes,
  isDestroyed,
  type StoredObject,
  type StoredObjectType,
  storedObjectTypes,
  type ValueFormat,
} from '@cryptvisor/kmip-server'
import { KeyServerError } from '../key-server-error.ts'
import type { ObjectRow } from './schema.ts'

/** Writes an object as a row. */
export function toRow(object: StoredObject): ObjectRow {
  return {
    id: object.id,
    owner: object.owner,
    object_type: object.objectType,
    format: JSON.stringify(object.format),
    attributes: encodeAttributes(object.attributes),
    next_indexes: JSON.stringify(object.nextIndexes),
    is_destroyed: isDestroyed(object) ? 1 : 0,
  }
}

/** Reads an object from a row. Throws KeyServerError `bad-database`. */
export function fromRow(row: ObjectRow): StoredObject {
  try {
    return {
      id: row.id,
      owner: row.owner,
      objectType: typeOf(row.object_type),
      format: formatOf(JSON.parse(row.format)),
      attributes: decodeAttributes(row.attributes),
      nextIndexes: indexesOf(JSON.parse(row.next_indexes)),
    }
  } catch (cause) {
    throw new KeyServerError('bad-database', `object ${row.id} in the database is damaged`, { cause })
  }
}

function typeOf(text: string): StoredObjectType {
  const type = storedObjectTypes.find((known) => known === text)
  if (type === undefined) throw new TypeError('object_type is unknown')
  return type
}

function formatOf(value: unknown): ValueFormat {
  if (typeof value === 'object' && value !== null) {
    const { keyFormatType, secretDataType, opaqueDataType } = value as Readonly<Record<string, unknown>>
    if (
      (keyFormatType === 'Raw' || keyFormatType === 'Opaque' || keyFormatType === null) &&
      (typeof secretDataType === 'string' || typeof secretDataType === 'number' || secretDataType === null) &&
      (typeof opaqueDataType === 'number' || opaqueDataType === null)
    ) {
      return { keyFormatType, secretDataType, opaqueDataType }
    }
  }
  throw new TypeError('format is not what was written')
}

function indexesOf(value: unknown): Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null || !Object.values(value).every(Number.isSafeInteger)) {
    throw new TypeError('next_indexes is not what was written')
  }
  // Every value was just found to be a number.
  return value as Readonly<Record<string, number>>
}
