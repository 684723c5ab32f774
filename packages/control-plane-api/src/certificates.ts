import { type Static, Type } from 'typebox'
import { Time } from './names.ts'

/** A certificate that something here depends on. */
export const CertificateEntry = Type.Object({
  kind: Type.Union([
    Type.Literal('authority'),
    Type.Literal('control-plane'),
    Type.Literal('host'),
    Type.Literal('provider-client'),
    Type.Literal('key-server'),
  ]),
  /** In words. */
  what: Type.String(),
  subject: Type.String(),
  notAfter: Time,
  /** Whole days; negative: it is over. */
  daysLeft: Type.Integer(),
  state: Type.Union([Type.Literal('green'), Type.Literal('yellow'), Type.Literal('red'), Type.Literal('expired')]),
  /** At two thirds of its life, while both sides can be reached. */
  renewsItself: Type.Boolean(),
})
export type CertificateEntry = Static<typeof CertificateEntry>
export const CertificateList = Type.Object({ certificates: Type.Array(CertificateEntry) })
