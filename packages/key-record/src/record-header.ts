import { KeyRecordError } from './key-record-error.ts'

/** What the record of a disk layer binds its DEK to. */
export interface DiskRecordHeader {
  readonly kind: 'disk'
  /** The layer's UUID, lower case, which also names its file. */
  readonly layerId: string
  /** The UUID in the layer's LUKS header, lower case. */
  readonly luksUuid: string
  /** Counts the rewrites of the record, from 1. */
  readonly generation: number
  readonly cipher: 'aes-xts-plain64'
  readonly payloadOffsetBytes: number
  readonly payloadFormat: 'raw' | 'qcow2'
  /** Exact size of the payload; need not be whole sectors. */
  readonly payloadSizeBytes: number
}

/** What the record of a VM Home (`vm.keysafe`) binds its DEK to. */
export interface VmHomeRecordHeader {
  readonly kind: 'vm-home'
  /** The VM's UUID, lower case. */
  readonly vmId: string
  /** Counts the rewrites of the record, from 1. */
  readonly generation: number
}

/** The part of a key record that is authenticated together with the DEK. */
export type RecordHeader = DiskRecordHeader | VmHomeRecordHeader

/** The format that we write, and the only one that we read. */
export const recordVersion = 1
export const recordType = 'cryptvisor-key-record'

type Check = (value: unknown) => boolean

const uuid: Check = (value) => typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)
const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 1
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && values.includes(value)

/** The fields of each kind, each with what it must be. A record has all of them and no other. */
const fields: Readonly<Record<RecordHeader['kind'], Readonly<Record<string, Check>>>> = {
  disk: {
    kind: oneOf('disk'),
    layerId: uuid,
    luksUuid: uuid,
    generation: count,
    cipher: oneOf('aes-xts-plain64'),
    payloadOffsetBytes: count,
    payloadFormat: oneOf('raw', 'qcow2'),
    payloadSizeBytes: count,
  },
  'vm-home': { kind: oneOf('vm-home'), vmId: uuid, generation: count },
}

/**
 * Takes `value` for a record header, exactly. Throws a KeyRecordError: `unknown-field` for a field too many, `bad-field`
 * for one that is missing or not what it must be.
 */
export function checkRecordHeader(value: Readonly<Record<string, unknown>>): RecordHeader {
  const { kind } = value
  if (kind !== 'disk' && kind !== 'vm-home') {
    throw new KeyRecordError('bad-field', 'field kind of the key record must be disk or vm-home')
  }
  const expected = fields[kind]
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(expected, name)) {
      throw new KeyRecordError('unknown-field', `a key record of kind ${kind} has no field ${JSON.stringify(name)}`)
    }
  }
  for (const [name, check] of Object.entries(expected)) {
    if (!check(value[name])) {
      throw new KeyRecordError('bad-field', `field ${name} of the key record is missing or not what it must be`)
    }
  }
  // The loops above have checked every field of this kind.
  return { ...value } as unknown as RecordHeader
}
