import { type Static, Type } from 'typebox'
import { Name } from './names.ts'

/** What permissions are given on; «root» is the whole inventory. */
export const ObjectKind = Type.Union([
  Type.Literal('root'),
  Type.Literal('folder'),
  Type.Literal('cluster'),
  Type.Literal('host'),
  Type.Literal('datastore'),
  Type.Literal('vm'),
  Type.Literal('key-provider'),
  Type.Literal('policy'),
])
export type ObjectKind = Static<typeof ObjectKind>

/** The longest path of a folder: 16 names of 80 characters. */
export const folderPathSizeMax = 1_296

/** An object by name; a folder by its path, such as `/Sales/Berlin`. The root is `/`. */
export const ObjectName = Type.Object(
  { kind: ObjectKind, name: Type.String({ minLength: 1, maxLength: folderPathSizeMax }) },
  { additionalProperties: false },
)
export type ObjectName = Static<typeof ObjectName>

/** Whom a permission is given to. */
export const Grantee = Type.Object(
  {
    kind: Type.Union([Type.Literal('user'), Type.Literal('group')]),
    name: Type.String({ minLength: 1, maxLength: 80 }),
  },
  { additionalProperties: false },
)
export type Grantee = Static<typeof Grantee>

/** A role that somebody has on an object and, where it propagates, on all that lies in it. */
export const Permission = Type.Object({
  object: ObjectName,
  to: Grantee,
  role: Name,
  propagate: Type.Boolean(),
})
export type Permission = Static<typeof Permission>
export const PermissionList = Type.Object({ permissions: Type.Array(Permission) })

/** Takes the place of what the user or the group had on that object. It propagates unless it says otherwise. */
export const SetPermission = Type.Object(
  { object: ObjectName, to: Grantee, role: Name, propagate: Type.Optional(Type.Boolean()) },
  { additionalProperties: false },
)
export type SetPermission = Static<typeof SetPermission>

export const RemovePermission = Type.Object({ object: ObjectName, to: Grantee }, { additionalProperties: false })
export type RemovePermission = Static<typeof RemovePermission>

/** A permission that decides, and whether its role has the privilege. */
export const CheckedPermission = Type.Object({
  ...Permission.properties,
  has: Type.Boolean(),
})
export type CheckedPermission = Static<typeof CheckedPermission>

/** Whether a user has a privilege on an object. Nothing in `because`: no permission says anything about the object. */
export const PermissionCheck = Type.Object({
  user: Type.String(),
  privilege: Type.String(),
  object: ObjectName,
  allowed: Type.Boolean(),
  because: Type.Array(CheckedPermission),
})
export type PermissionCheck = Static<typeof PermissionCheck>

/** A set of users, for permissions. */
export const Group = Type.Object({
  name: Name,
  description: Type.String(),
  members: Type.Array(Type.String()),
})
export type Group = Static<typeof Group>
export const GroupList = Type.Object({ groups: Type.Array(Group) })
export const CreateGroup = Type.Object(
  { name: Name, description: Type.Optional(Type.String({ maxLength: 256 })) },
  { additionalProperties: false },
)
export type CreateGroup = Static<typeof CreateGroup>
