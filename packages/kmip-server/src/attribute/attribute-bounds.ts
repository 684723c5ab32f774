import { KmipError } from '@cryptvisor/kmip'
import { TtlvError } from '@cryptvisor/ttlv'
import { attributesSizeMax, encodeAttributes } from '../object/stored-attributes.ts'
import { type StoredObject, singleValue } from '../object/stored-object.ts'

/** How many attributes one object may have, each instance counted. */
export const attributeCountMax = 1000

/** Throws Invalid Field when an object would have more attributes than are kept. */
export function checkBounds(object: StoredObject): void {
  checkCount(object.attributes)
  if (sizeOf(object) > attributesSizeMax) {
    throw new KmipError('InvalidField', `the attributes of an object have at most ${attributesSizeMax} bytes`)
  }
}

/** Throws Invalid Field for more attributes than one object may have. */
export function checkCount(attributes: readonly unknown[]): void {
  if (attributes.length <= attributeCountMax) return
  throw new KmipError('InvalidField', `an object has at most ${attributeCountMax} attributes`)
}

/** Throws Invalid Field when the dates contradict each other (KMIP 1.4, 3.24 to 3.27). */
export function checkDates(object: StoredObject): void {
  const activation = singleValue(object, 'Activation Date')
  const deactivation = singleValue(object, 'Deactivation Date')
  const processStart = singleValue(object, 'Process Start Date')
  const protectStop = singleValue(object, 'Protect Stop Date')
  checkOrder('Activation Date', activation, 'Deactivation Date', deactivation)
  checkOrder('Activation Date', activation, 'Process Start Date', processStart)
  checkOrder('Protect Stop Date', protectStop, 'Deactivation Date', deactivation)
}

function checkOrder(first: string, one: Date | undefined, second: string, other: Date | undefined): void {
  if (one !== undefined && other !== undefined && one > other) {
    throw new KmipError('InvalidField', `${first} must not be later than ${second}`)
  }
}

function sizeOf(object: StoredObject): number {
  try {
    return encodeAttributes(object.attributes).length
  } catch (error) {
    if (error instanceof TtlvError && error.code === 'limit-exceeded') return Number.POSITIVE_INFINITY
    throw error
  }
}
