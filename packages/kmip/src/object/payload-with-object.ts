import { choice, constant, enumeration, type Fields, type Item, type StructureValue, structure } from '@cryptvisor/ttlv'
import { ObjectType } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { type ManagedObjectType, managedObjects } from './managed-object.ts'

const objectType = enumeration(Tag.ObjectType, ObjectType)

/** An Object Type, some fields, and the object that the Object Type names. */
export type PayloadWithObject<F extends Fields> = {
  [Type in ManagedObjectType]: StructureValue<
    { objectType: Item<Type> } & F & { object: (typeof managedObjects)[Type] }
  >
}[ManagedObjectType]

/** Declares a payload whose Object Type says which managed object ends it; `fields` come between the two. */
export function payloadWithObject<const F extends Fields>(tag: number, fields: F): Item<PayloadWithObject<F>> {
  const variants = new Map<ObjectType, Item<PayloadWithObject<F>>>(
    Object.entries(managedObjects).map(([name, object]) => {
      // The names of the table are Object Types.
      const type = name as ManagedObjectType
      const variant = structure(tag, { objectType: constant(objectType, type), ...fields, object })
      // It has the fields of its own type's member of the union.
      return [type, variant as unknown as Item<PayloadWithObject<F>>]
    }),
  )
  const declared = choice(tag, 'objectType', objectType, (type) =>
    type === undefined ? null : (variants.get(type) ?? null),
  )
  // A choice between members of the union.
  return declared as unknown as Item<PayloadWithObject<F>>
}
