import { type Static, Type } from 'typebox'
import { Limit } from './page.ts'

/** KMIP 1.4, 9.1.3.2.18; `null` for objects without a state. */
export const State = Type.Union([
  Type.Literal('PreActive'),
  Type.Literal('Active'),
  Type.Literal('Deactivated'),
  Type.Literal('Compromised'),
  Type.Literal('Destroyed'),
  Type.Literal('DestroyedCompromised'),
])
export type State = Static<typeof State>

/** An attribute of a managed object; there is none that holds key material. */
export const ObjectAttribute = Type.Object(
  {
    name: Type.String({ description: 'As KMIP 1.x names it; custom ones begin with x- or y-' }),
    index: Type.Integer({ minimum: 0 }),
    type: Type.String({ description: 'The type of the value as TTLV has it, such as TextString' }),
    value: Type.Unknown({
      description:
        'Enumerations by name, dates in ISO 8601, bytes in hex, large numbers as text, structures as objects by field name, those of custom attributes as lists of their fields',
    }),
  },
  { additionalProperties: false },
)
export type ObjectAttribute = Static<typeof ObjectAttribute>

/** A managed object as an administrator sees it: whose it is and what it is, never what is in it. */
export const ManagedObject = Type.Object(
  {
    id: Type.String({ description: 'Unique Identifier' }),
    owner: Type.String({ description: 'The client that made it' }),
    objectType: Type.String(),
    state: Type.Union([State, Type.Null()]),
    attributes: Type.Array(ObjectAttribute),
  },
  { additionalProperties: false },
)
export type ManagedObject = Static<typeof ManagedObject>

export const ObjectsQuery = Type.Object(
  {
    owner: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    destroyed: Type.Optional(Type.Boolean({ default: false, description: 'Whether to list destroyed objects too' })),
    before: Type.Optional(Type.String({ maxLength: 100, description: '`next` of the page before' })),
    limit: Limit,
  },
  { additionalProperties: false },
)
export type ObjectsQuery = Static<typeof ObjectsQuery>

/** The newest first. */
export const ObjectsPage = Type.Object(
  {
    objects: Type.Array(ManagedObject),
    next: Type.Union([Type.String(), Type.Null()], { description: 'For `before`; null on the last page' }),
  },
  { additionalProperties: false },
)
export type ObjectsPage = Static<typeof ObjectsPage>

export const ObjectPath = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 100 }) },
  { additionalProperties: false },
)
