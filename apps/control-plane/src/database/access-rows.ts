/** A folder of VMs; without a parent it lies directly under the root of the inventory. */
export interface FolderRow {
  id: string
  /** Unique among its siblings. */
  name: string
  parent_id: string | null
  created_at: number
}

export interface UserGroupRow {
  name: string
  description: string
  created_at: number
}

export interface GroupMemberRow {
  group_name: string
  user_name: string
  /** Whether an identity source said so, at the user's last login; else somebody here did. */
  from_source: number
}

/** A role that a user or a group has on an object: exactly one of `user_name` and `group_name` is there. */
export interface PermissionRow {
  id: string
  /** An `ObjectKind`. */
  object_kind: string
  /** The object's ID; a key provider's name; `root`. */
  object_id: string
  user_name: string | null
  group_name: string | null
  role_name: string
  /** Whether it counts for what lies in the object, too. */
  propagate: number
  created_at: number
}
