import { type Static, Type } from 'typebox'
import { LoginAnswer } from './access.ts'
import { LdapConfig } from './ldap-sources.ts'
import { Name, Nullable, Time } from './names.ts'

/** The longest client secret or bind password, in bytes. */
export const identitySourceSecretSizeMax = 1024

/** Stands after the `@` in the names of its users. */
export const IdentitySourceName = Type.String({
  minLength: 1,
  maxLength: 24,
  pattern: '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$',
  description: 'Lower-case letters, digits and hyphens; it stands after the @ in the names of its users',
})

const Pem = Type.String({ maxLength: 65_536, description: 'CA certificates, PEM; left out: those of the system' })
const ClaimName = Type.String({ minLength: 1, maxLength: 80, pattern: '^[!-~]+$' })

/** `oidc`: users log in at the provider, in a browser; `ldap`: with their password of the directory, here. */
const IdentitySourceKind = Type.Union([Type.Literal('oidc'), Type.Literal('ldap')])

/** An OpenID Connect provider. */
export const OidcConfig = Type.Object(
  {
    issuer: Type.String({ minLength: 1, maxLength: 512, description: 'https, or http on this machine itself' }),
    clientId: Type.String({ minLength: 1, maxLength: 256 }),
    scopes: Type.Optional(Type.Array(Type.String({ pattern: '^[!#-\\[\\]-~]{1,80}$' }), { maxItems: 20 })),
    /** The claim that gives the name to show (`preferred_username`); who somebody is says `sub` alone. */
    nameClaim: Type.Optional(ClaimName),
    /** The claim that lists the groups (`groups`). */
    groupsClaim: Type.Optional(ClaimName),
    ca: Type.Optional(Pem),
    /** Whether users may log in at a terminal without a browser (RFC 8628); not when left out: who talks somebody into typing a code of theirs gets that user's session. */
    deviceLogins: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export type OidcConfig = Static<typeof OidcConfig>

const ConfirmDays = Type.Integer({
  minimum: 1,
  maximum: 365,
  description:
    'API tokens of its users work for so many days after it confirmed the user last; 30 when left out. A login confirms',
})

/** With exactly one of `oidc` and `ldap`. */
export const CreateIdentitySource = Type.Object(
  {
    name: IdentitySourceName,
    oidc: Type.Optional(OidcConfig),
    ldap: Type.Optional(LdapConfig),
    confirmDays: Type.Optional(ConfirmDays),
  },
  { additionalProperties: false },
)
export type CreateIdentitySource = Static<typeof CreateIdentitySource>

/** Takes the place of what it was; the kind stays. Users and mappings stay. */
export const ChangeIdentitySource = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean()),
    oidc: Type.Optional(OidcConfig),
    ldap: Type.Optional(LdapConfig),
    confirmDays: Type.Optional(ConfirmDays),
  },
  { additionalProperties: false },
)
export type ChangeIdentitySource = Static<typeof ChangeIdentitySource>

/**
 * Who is in the group `external` of the source is in our group `group`, from the next login on. A group of a directory is
 * named by its name or its DN, without regard to case.
 */
export const GroupMapping = Type.Object(
  { external: Type.String({ minLength: 1, maxLength: 512 }), group: Name },
  { additionalProperties: false },
)
export type GroupMapping = Static<typeof GroupMapping>

export const IdentitySource = Type.Object({
  name: IdentitySourceName,
  kind: IdentitySourceKind,
  enabled: Type.Boolean(),
  /** Of the kind `oidc`. */
  oidc: Type.Optional(OidcConfig),
  /** Of the kind `ldap`. */
  ldap: Type.Optional(LdapConfig),
  /** Whether it has a client secret or a bind password; shown to nobody. */
  hasSecret: Type.Boolean(),
  confirmDays: ConfirmDays,
  groups: Type.Array(GroupMapping),
  userCount: Type.Integer(),
  /** Since when a directory cannot be used, and why; `null`: it could when it was asked last, or is no directory. */
  failing: Nullable(Type.Object({ since: Time, text: Type.String() })),
  createdAt: Time,
})
export type IdentitySource = Static<typeof IdentitySource>
export const IdentitySourceList = Type.Object({ sources: Type.Array(IdentitySource) })

/** What whoever wants to log in has to know. */
export const LoginSource = Type.Object({ name: IdentitySourceName, kind: IdentitySourceKind })
export type LoginSource = Static<typeof LoginSource>
export const LoginSourceList = Type.Object({ sources: Type.Array(LoginSource) })

/** Begins a login in a browser (RFC 8252), which comes back to `redirectUri` on the user's own machine. */
export const BeginOidcLogin = Type.Object(
  { source: IdentitySourceName, redirectUri: Type.String({ maxLength: 200 }) },
  { additionalProperties: false },
)
export type BeginOidcLogin = Static<typeof BeginOidcLogin>

/** `attempt` is a secret: whoever shows it gets the session. */
export const OidcLoginBegun = Type.Object({
  attempt: Type.String(),
  /** What the browser has to open. */
  url: Type.String(),
  expiresAt: Time,
})
export type OidcLoginBegun = Static<typeof OidcLoginBegun>

export const FinishOidcLogin = Type.Object(
  {
    attempt: Type.String({ maxLength: 100 }),
    /** The query that the provider sent the browser back with, from `?` on. */
    query: Type.String({ maxLength: 8192 }),
    /** Of the second factor, or a recovery code. */
    code: Type.Optional(Type.String({ maxLength: 40 })),
  },
  { additionalProperties: false },
)
export type FinishOidcLogin = Static<typeof FinishOidcLogin>

/** Begins a login at a terminal without a browser (RFC 8628). */
export const BeginDeviceLogin = Type.Object({ source: IdentitySourceName }, { additionalProperties: false })
export type BeginDeviceLogin = Static<typeof BeginDeviceLogin>

/** `attempt` is a secret: whoever shows it gets the session. */
export const DeviceLoginBegun = Type.Object({
  attempt: Type.String(),
  /** What the user has to open, on any machine, and to type there. */
  verificationUri: Type.String(),
  userCode: Type.String(),
  expiresAt: Time,
  /** How often to ask whether the user has logged in. */
  intervalSeconds: Type.Integer(),
})
export type DeviceLoginBegun = Static<typeof DeviceLoginBegun>

export const FinishDeviceLogin = Type.Object(
  {
    attempt: Type.String({ maxLength: 100 }),
    /** Of the second factor, or a recovery code. */
    code: Type.Optional(Type.String({ maxLength: 40 })),
  },
  { additionalProperties: false },
)
export type FinishDeviceLogin = Static<typeof FinishDeviceLogin>

/** `login` is `null` while the user has not logged in yet: ask again after `retryAfterSeconds`. */
export const DeviceLoginState = Type.Object({ login: Nullable(LoginAnswer), retryAfterSeconds: Type.Integer() })
export type DeviceLoginState = Static<typeof DeviceLoginState>
