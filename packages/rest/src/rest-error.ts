import { Type } from 'typebox'

/** The HTTP statuses that our services answer errors with (RFC 9110, 15.5 and 15.6). */
export type ErrorStatus =
  | 400
  | 401
  | 403
  | 404
  | 409
  | 410
  | 412
  | 413
  | 415
  | 422
  | 423
  | 429
  | 500
  | 501
  | 502
  | 503
  | 507

/** The body of every answer that is an error. `field` is the JSON pointer or parameter that was wrong. */
export const ErrorBody = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'Stable, lower case with hyphens' }),
      message: Type.String({ description: 'What was wrong and what to do next' }),
      field: Type.Optional(Type.String()),
    }),
  },
  { $id: 'Error' },
)

/** An error that the peer is told of: `message` goes to the peer, `cause` to our log only. */
export class RestError extends Error {
  readonly status: ErrorStatus
  readonly code: string
  readonly field: string | undefined

  constructor(status: ErrorStatus, code: string, message: string, options: { field?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'RestError'
    this.status = status
    this.code = code
    this.field = options.field
  }
}
