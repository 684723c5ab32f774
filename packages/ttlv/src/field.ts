import type { Item } from './item.ts'
import type { Version, VersionRange } from './version.ts'

/** How often an item is there. `ranged`: exactly once in the versions that have the field, and never in others. */
export type Presence = 'required' | 'ranged' | 'optional' | 'repeated'

/** An item's place in a structure: how often it is there, and in which versions. */
export interface Field<Value, P extends Presence = Presence> extends VersionRange {
  readonly item: Item<Value>
  readonly presence: P
}

type Ranged<P extends Presence> = P extends 'required' ? 'ranged' : P

/** The item may be left out. */
export function optional<Value>(item: Item<Value>): Field<Value, 'optional'> {
  return { item, presence: 'optional' }
}

/** The item is there any number of times, none included, all next to each other. */
export function repeated<Value>(item: Item<Value>): Field<Value, 'repeated'> {
  return { item, presence: 'repeated' }
}

/** The field exists from `version` on; before, a message that has it is refused, and a value for it too. */
export function since<Value>(version: Version, item: Item<Value>): Field<Value, 'ranged'>
export function since<Value, P extends Presence>(version: Version, field: Field<Value, P>): Field<Value, Ranged<P>>
export function since(version: Version, place: Item<unknown> | Field<unknown>): Field<unknown> {
  return { ...ranged(place), since: version }
}

/** The field exists up to `version`, which is the last to have it. */
export function until<Value>(version: Version, item: Item<Value>): Field<Value, 'ranged'>
export function until<Value, P extends Presence>(version: Version, field: Field<Value, P>): Field<Value, Ranged<P>>
export function until(version: Version, place: Item<unknown> | Field<unknown>): Field<unknown> {
  return { ...ranged(place), until: version }
}

/** A field as it is; an item that stands for itself as the field that must be there. */
export function fieldOf(place: Item<unknown> | Field<unknown>): Field<unknown> {
  return 'presence' in place ? place : { item: place, presence: 'required' }
}

function ranged(place: Item<unknown> | Field<unknown>): Field<unknown> {
  const field = fieldOf(place)
  return field.presence === 'required' ? { ...field, presence: 'ranged' } : field
}
