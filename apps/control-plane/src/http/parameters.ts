import { Type } from 'typebox'

/** Path parameters and answers that many routes have. */
export const ByName = Type.Object({ name: Type.String({ minLength: 1, maxLength: 80 }) })
export const ById = Type.Object({ id: Type.String({ minLength: 1, maxLength: 80 }) })

/** The answer of a 204. */
export const Nothing = Type.Null({ description: 'Done' })
