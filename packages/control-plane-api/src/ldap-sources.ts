import { type Static, Type } from 'typebox'
import { Nullable } from './names.ts'

const Dn = Type.String({ minLength: 3, maxLength: 512, description: 'A distinguished name (RFC 4514)' })
const Filter = Type.String({ minLength: 3, maxLength: 1024, description: 'A filter (RFC 4515)' })
const Attribute = Type.String({ maxLength: 64, pattern: '^[A-Za-z][A-Za-z0-9-]*$' })

/** How a directory keeps users and groups: what their entries are, and how it says that somebody may not log in. */
export const LdapPreset = Type.Union([Type.Literal('ad'), Type.Literal('openldap'), Type.Literal('freeipa')])
export type LdapPreset = Static<typeof LdapPreset>

/** An LDAP directory. */
export const LdapConfig = Type.Object(
  {
    preset: LdapPreset,
    servers: Type.Array(Type.String({ minLength: 8, maxLength: 300 }), {
      minItems: 1,
      maxItems: 8,
      description: 'ldaps://HOST[:PORT], or ldap://HOST[:PORT], where TLS is begun by StartTLS; tried in this order',
    }),
    /** `false`: no StartTLS at ldap:// servers, which have to be on this machine then. */
    startTls: Type.Optional(Type.Boolean()),
    ca: Type.Optional(
      Type.String({ maxLength: 65_536, description: 'CA certificates, PEM; left out: those of the system' }),
    ),
    /** Who we are there; its password is sent by itself. Left out: nobody, which `anonymous` has to confirm. */
    bindDn: Type.Optional(Dn),
    anonymous: Type.Optional(Type.Boolean()),
    /** Users are below it. */
    userBase: Dn,
    /** Groups are below it (`userBase`). */
    groupBase: Type.Optional(Dn),
    /** Instead of the preset's: which entries are users; the name is asked for beside it. */
    userFilter: Type.Optional(Filter),
    /** Instead of the preset's: which entries are groups; the member is asked for beside it. */
    groupFilter: Type.Optional(Filter),
    /** Instead of the preset's: the attribute with the name that users log in by. */
    nameAttribute: Type.Optional(Attribute),
    /** Instead of the preset's: the attribute with a group's name. */
    groupNameAttribute: Type.Optional(Attribute),
  },
  { additionalProperties: false },
)
export type LdapConfig = Static<typeof LdapConfig>

/** Also say what the source says of this user; nobody's password is needed. */
export const TestIdentitySource = Type.Object(
  { user: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })) },
  { additionalProperties: false },
)
export type TestIdentitySource = Static<typeof TestIdentitySource>

/** What a source says of a user, and what that gives them here. */
export const TestedUser = Type.Object({
  /** What they are called here; `null`: they cannot log in by that name. */
  name: Nullable(Type.String()),
  dn: Type.String(),
  /** Who it is, under whatever name. */
  subject: Type.String(),
  /** In words, such as `may log in` or `is disabled`. */
  state: Type.String(),
  /** As the source names them; `mappedTo` are groups of ours. */
  groups: Type.Array(Type.Object({ name: Type.String(), dn: Type.String(), mappedTo: Type.Array(Type.String()) })),
  canLogIn: Type.Boolean(),
  /** Why not, and what to do; `null`: they can. */
  problem: Nullable(Type.String()),
})
export type TestedUser = Static<typeof TestedUser>

/** What was tried, in order, up to the first thing that does not work. */
export const IdentitySourceTest = Type.Object({
  works: Type.Boolean(),
  steps: Type.Array(Type.Object({ name: Type.String(), works: Type.Boolean(), text: Type.String() })),
  /** `null`: nobody was asked for, or the source has no such user. */
  user: Nullable(TestedUser),
})
export type IdentitySourceTest = Static<typeof IdentitySourceTest>

/** What became of the users of a source that were asked about again. */
export const IdentityRecheck = Type.Object({
  checkedCount: Type.Integer(),
  /** Whose sessions and API tokens are over now. */
  ended: Type.Array(Type.Object({ user: Type.String(), cause: Type.String() })),
})
export type IdentityRecheck = Static<typeof IdentityRecheck>
