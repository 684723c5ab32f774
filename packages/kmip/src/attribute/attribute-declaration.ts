import type { Item } from '@cryptvisor/ttlv'
import type { ObjectType } from '../enumeration.ts'
import type { VersionRange } from '../version.ts'

/** Who gives an attribute its first value. */
export type AttributeSource = 'server' | 'client' | 'client-or-server'

/** A standard attribute, as the tables of rules in KMIP 1.4, section 3, describe it. */
export interface AttributeDeclaration<Value = unknown> extends VersionRange {
  readonly tag: number
  /** The value under a tag: Attribute Value in KMIP 1.x, the attribute's own from 2.0 on. */
  readonly value: (tag: number) => Item<Value>
  /** "SHALL always have a value". */
  readonly alwaysHasValue: boolean
  /** "Initially set by". */
  readonly initiallySetBy: AttributeSource
  /** "Modifiable by client"; conditions that depend on the state are the server's business. */
  readonly isModifiableByClient: boolean
  /** "Deletable by client". */
  readonly isDeletableByClient: boolean
  /** "Multiple instances permitted". */
  readonly isMultiple: boolean
  /** "Applies to Object Types". */
  readonly objectTypes: readonly ObjectType[]
}
