import { type Static, Type } from 'typebox'
import { Name, Nullable, Time } from './names.ts'
import { Permission } from './permissions.ts'

const UserName = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9][A-Za-z0-9._@-]*$' })
const Password = Type.String({ minLength: 12, maxLength: 256, description: 'At least 12 characters' })

/** A user of a directory is `NAME@SOURCE`, or NAME with `source`. */
export const LoginRequest = Type.Object(
  {
    user: Type.String({ maxLength: 64 }),
    source: Type.Optional(Type.String({ maxLength: 24 })),
    password: Type.String({ maxLength: 256 }),
    /** Of the second factor, or a recovery code; asked for with `second-factor-required`. */
    code: Type.Optional(Type.String({ maxLength: 40 })),
  },
  { additionalProperties: false },
)
export type LoginRequest = Static<typeof LoginRequest>

/** `token` goes into `Authorization: Bearer …`; it works until `expiresAt` or logout. */
export const LoginAnswer = Type.Object({ token: Type.String(), user: UserName, expiresAt: Time })
export type LoginAnswer = Static<typeof LoginAnswer>

/** `role`: that of the user's own permission on the root, if there is one; groups and other permissions may give more. */
export const User = Type.Object({
  name: UserName,
  /** The identity source that the user comes from and logs in by; `null`: our own. */
  source: Nullable(Type.String()),
  role: Nullable(Name),
  createdAt: Time,
  lockedUntil: Nullable(Time),
  secondFactor: Type.Boolean({ description: 'Whether logins need a code' }),
})
export type User = Static<typeof User>
export const UserList = Type.Object({ users: Type.Array(User) })

export const CreateUser = Type.Object(
  { name: UserName, password: Password, role: Type.Optional(Name) },
  { additionalProperties: false },
)
export type CreateUser = Static<typeof CreateUser>

export const ChangeUser = Type.Object(
  { password: Type.Optional(Password), role: Type.Optional(Name) },
  { additionalProperties: false },
)
export type ChangeUser = Static<typeof ChangeUser>

/** By what a request was let in. */
export const Login = Type.Object({
  kind: Type.Union([Type.Literal('session'), Type.Literal('api-token')]),
  /** `null`: an API token that does not expire. */
  expiresAt: Nullable(Time),
  /** A session ends when it was not used for so long; `null`: an API token, which does not. */
  idleMinutes: Nullable(Type.Integer()),
})
export type Login = Static<typeof Login>

/** `privileges` are those on the root; `permissions` says what there is on other objects, and through which group. */
export const Me = Type.Object({
  name: UserName,
  /** As `User` has it. */
  source: Nullable(Type.String()),
  groups: Type.Array(Type.String()),
  secondFactor: Type.Boolean({ description: 'Whether logins need a code' }),
  login: Login,
  role: Nullable(Name),
  privileges: Type.Array(Type.String()),
  permissions: Type.Array(Permission),
})
export type Me = Static<typeof Me>

/** One's own. */
export const ChangePassword = Type.Object(
  { oldPassword: Type.String({ maxLength: 256 }), newPassword: Password },
  { additionalProperties: false },
)
export type ChangePassword = Static<typeof ChangePassword>

/** A login that has not ended. `current`: the one that asks. */
export const Session = Type.Object({
  id: Type.String(),
  user: UserName,
  /** Where it was begun. */
  address: Nullable(Type.String()),
  createdAt: Time,
  lastUsedAt: Nullable(Time),
  expiresAt: Nullable(Time),
  current: Type.Boolean(),
})
export type Session = Static<typeof Session>
export const SessionList = Type.Object({ sessions: Type.Array(Session) })

/** A privilege that does not exist is refused by name, not ignored. */
export const Role = Type.Object(
  { name: Name, privileges: Type.Array(Type.String({ maxLength: 80 }), { maxItems: 200 }), system: Type.Boolean() },
  { additionalProperties: false },
)
export type Role = Static<typeof Role>
export const RoleList = Type.Object({ roles: Type.Array(Role) })
export const CreateRole = Type.Omit(Role, ['system'])
export type CreateRole = Static<typeof CreateRole>

const Privileges = Type.Optional(Role.properties.privileges)

/** `privileges`: these and no others; or which are given besides, and which are taken away. */
export const ChangeRole = Type.Object(
  { privileges: Privileges, add: Privileges, remove: Privileges },
  { additionalProperties: false },
)
export type ChangeRole = Static<typeof ChangeRole>

export const ApiToken = Type.Object({
  id: Type.String(),
  name: Name,
  user: UserName,
  createdAt: Time,
  expiresAt: Nullable(Time),
  lastUsedAt: Nullable(Time),
})
export type ApiToken = Static<typeof ApiToken>
export const ApiTokenList = Type.Object({ tokens: Type.Array(ApiToken) })
export const CreateApiToken = Type.Object(
  { name: Name, validDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650 })) },
  { additionalProperties: false },
)
export type CreateApiToken = Static<typeof CreateApiToken>
/** The only time that the token itself is shown. */
export const NewApiToken = Type.Object({ token: Type.String(), info: ApiToken })
export type NewApiToken = Static<typeof NewApiToken>
