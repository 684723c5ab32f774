import { type Static, Type } from 'typebox'

/** Whether the key server works: the answer itself says that the database is there and the keyring open. */
export const Health = Type.Object(
  {
    version: Type.String(),
    time: Type.String({ format: 'date-time' }),
    kmip: Type.Object({ host: Type.String(), port: Type.Integer() }, { additionalProperties: false }),
    objects: Type.Integer({ minimum: 0, description: 'Destroyed ones included' }),
    auditRecords: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
)
export type Health = Static<typeof Health>
