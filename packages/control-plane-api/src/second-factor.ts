import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

/** `required`: a session of this user can do nothing but set one up. */
export const SecondFactorState = Type.Object({
  confirmedAt: Nullable(Time),
  recoveryCodesLeft: Type.Integer(),
  required: Type.Boolean(),
})
export type SecondFactorState = Static<typeof SecondFactorState>

/** `uri` is what authenticator apps read, `secret` the same to type in (base32). Both are shown this once. */
export const NewSecondFactor = Type.Object({ uri: Type.String(), secret: Type.String() })
export type NewSecondFactor = Static<typeof NewSecondFactor>

/** Six digits of the authenticator, or a recovery code. */
export const SecondFactorCode = Type.Object({ code: Type.String({ maxLength: 40 }) }, { additionalProperties: false })
export type SecondFactorCode = Static<typeof SecondFactorCode>

/** Each stands in for one code, once. They are shown this once. */
export const RecoveryCodes = Type.Object({ recoveryCodes: Type.Array(Type.String()) })
export type RecoveryCodes = Static<typeof RecoveryCodes>

/** Who has to have a second factor; administrators are those with `Authorization.ModifyPermissions` on the root. */
export const LoginRule = Type.Object(
  {
    secondFactor: Type.Union([Type.Literal('nobody'), Type.Literal('administrators'), Type.Literal('everybody')]),
  },
  { additionalProperties: false },
)
export type LoginRule = Static<typeof LoginRule>
