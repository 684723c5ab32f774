import { Type } from 'typebox'

/** Everything that is listed comes in pages. */
export const pageSizeMax = 1000
export const pageSizeDefault = 100

/** How many entries a page has at most, in a query. */
export const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: pageSizeMax, default: pageSizeDefault }))
