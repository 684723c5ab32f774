import { type Attribute, KmipError, type State, standardAttribute } from '@cryptvisor/kmip'
import type { Version } from '@cryptvisor/ttlv'
import { advance, touch } from '../object/lifecycle.ts'
import { isDestroyed, type StoredAttribute, type StoredObject, stateOf } from '../object/stored-object.ts'
import { checkBounds, checkDates } from './attribute-bounds.ts'
import { checkApplies, checkCustom, declarationIn, isMultiple, shown } from './attribute-rules.ts'
import { append, withConsequences, withServerFields } from './new-object.ts'

/** The changed object, and the instance that was added, changed or deleted. */
export interface AttributeChange {
  readonly object: StoredObject
  readonly attribute: StoredAttribute
}

/** In which states a client may set or change a date (KMIP 1.4, 3.24 to 3.27); other attributes do not depend on it. */
const statesForDate: Readonly<Record<string, readonly State[]>> = {
  'Activation Date': ['PreActive'],
  'Process Start Date': ['PreActive', 'Active'],
  'Protect Stop Date': ['PreActive', 'Active'],
  'Deactivation Date': ['PreActive', 'Active'],
}

/** KMIP 1.4, 4.14: adds an instance; the server chooses its index. */
export function addAttribute(object: StoredObject, given: Attribute, version: Version, now: Date): AttributeChange {
  const name = given.attributeName
  const declaration = declarationIn(name, version)
  if (given.attributeIndex !== undefined) {
    throw new KmipError('InvalidField', `Attribute Index: the server chooses it, leave it out`)
  }
  checkApplies(name, object.objectType)
  checkCustom(given, version)
  if (name.startsWith('y-') || declaration?.initiallySetBy === 'server') throw readOnly(name)
  if (!isMultiple(name) && instancesOf(object, name).length > 0) {
    throw new KmipError('IllegalOperation', `${shown(name)} has a value already: use ModifyAttribute`)
  }
  checkState(object, name)
  const added = append(object, { attributeName: name, attributeValue: withServerFields(given) })
  return finish(added, instanceOf(added, name, (added.nextIndexes[name] ?? 0) - 1), now)
}

/** KMIP 1.4, 4.15: gives an existing instance another value; the one with index 0 when no index is given. */
export function modifyAttribute(object: StoredObject, given: Attribute, version: Version, now: Date): AttributeChange {
  const name = given.attributeName
  const index = given.attributeIndex ?? 0
  const declaration = declarationIn(name, version)
  if (name.startsWith('y-') || declaration?.isModifiableByClient === false) throw readOnly(name)
  checkCustom(given, version)
  if (instancesOf(object, name).length === 0) {
    throw new KmipError('InvalidField', `${shown(name)} has no value: use AddAttribute`)
  }
  const old = instanceOf(object, name, index)
  checkState(object, name)
  const changed: StoredAttribute = { ...old, attributeValue: withServerFields(given) }
  const attributes = object.attributes.map((each) => (each === old ? changed : each))
  return finish(withConsequences({ ...object, attributes }, name), changed, now)
}

/** KMIP 1.4, 4.16: deletes an instance; the one with index 0 when no index is given. */
export function deleteAttribute(
  object: StoredObject,
  name: string,
  index: number,
  version: Version,
  now: Date,
): AttributeChange {
  const declaration = declarationIn(name, version)
  if (name.startsWith('y-') || declaration?.isDeletableByClient === false) throw readOnly(name)
  const old = instanceOf(object, name, index)
  checkState(object, name)
  const attributes = object.attributes.filter((each) => each !== old)
  const { [name]: next, ...others } = object.nextIndexes
  // While instances stay, an index that was used does not come again.
  const isLast = !attributes.some((each) => each.attributeName === name)
  const nextIndexes = isLast || next === undefined ? others : { ...others, [name]: next }
  return finish({ ...object, attributes, nextIndexes }, old, now)
}

function finish(object: StoredObject, attribute: StoredAttribute, now: Date): AttributeChange {
  checkDates(object)
  checkBounds(object)
  return { object: advance(touch(object, now), now), attribute }
}

function checkState(object: StoredObject, name: string): void {
  if (isDestroyed(object)) {
    throw new KmipError('PermissionDenied', `object ${object.id} is destroyed: its attributes stay as they are`)
  }
  const states = standardAttribute(name) === null ? undefined : statesForDate[name]
  const state = stateOf(object)
  if (states !== undefined && (state === null || !states.includes(state))) {
    throw new KmipError('PermissionDenied', `${name} of object ${object.id} cannot be changed in state ${state ?? '-'}`)
  }
}

function instancesOf(object: StoredObject, name: string): StoredAttribute[] {
  return object.attributes.filter((attribute) => attribute.attributeName === name)
}

function instanceOf(object: StoredObject, name: string, index: number): StoredAttribute {
  const found = instancesOf(object, name).find((attribute) => attribute.attributeIndex === index)
  if (found !== undefined) return found
  throw new KmipError('ItemNotFound', `object ${object.id} has no ${shown(name)} with index ${index}`)
}

function readOnly(name: string): KmipError {
  return new KmipError('PermissionDenied', `${shown(name)} is the server's to set: clients can read it`)
}
