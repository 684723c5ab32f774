import { Type } from 'typebox'
import { ControlPlaneError } from '../app/control-plane-error.ts'

/** Path parameters and answers that many routes have. */
export const ByName = Type.Object({ name: Type.String({ minLength: 1, maxLength: 80 }) })
export const ById = Type.Object({ id: Type.String({ minLength: 1, maxLength: 80 }) })

/** The answer of a 204. */
export const Nothing = Type.Null({ description: 'Done' })

/** A point in time as a query gives it, in milliseconds since 1970. Throws `invalid` for what is not RFC 3339. */
export function moment(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isSafeInteger(time)) return time
  throw new ControlPlaneError('invalid', `${field}: give a time as RFC 3339 has it, such as 2026-11-24T12:00:00Z`, {
    field,
  })
}
