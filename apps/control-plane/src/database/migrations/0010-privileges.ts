import type { Kysely } from 'kysely'

/** What a role that had a privilege has instead, so that its holders may do what they could do before. */
const successors: Readonly<Record<string, readonly string[]>> = {
  'System.Read': ['System.Read', 'StorageProfile.View', 'Cryptographer.ReadKeyServersInfo'],
  'Task.Cancel': ['Global.CancelTask'],
  'Host.Inventory.EditCluster': [
    'Host.Inventory.EditCluster',
    'Host.Inventory.CreateCluster',
    'Host.Inventory.DeleteCluster',
  ],
  'Host.Inventory.RemoveHost': ['Host.Inventory.RemoveHostFromCluster'],
  'Datastore.Config': ['Datastore.Config', 'Datastore.Delete'],
  'Cryptographer.RegisterHost': ['Cryptographer.RegisterHost', 'Host.Inventory.AddHostToCluster'],
  'VirtualMachine.Inventory.Create': [
    'VirtualMachine.Inventory.Create',
    'VirtualMachine.Inventory.CreateFromExisting',
    'VirtualMachine.Provisioning.Clone',
    'Datastore.AllocateSpace',
  ],
  'VirtualMachine.Config.AddNewDisk': ['VirtualMachine.Config.AddNewDisk', 'Datastore.AllocateSpace'],
}

/** Names that are those of system roles from now on; a role that somebody made keeps what it gives under another. */
const taken = ['KeyAdmin', 'NoAccess']

/** Roles as this step finds them. */
interface Roles {
  role: { name: string; privileges: string; system: number }
  user: { role_name: string }
}

/** Some privileges got vSphere's own names, and some were split as vSphere has them. */
export async function renamePrivileges(db: Kysely<unknown>): Promise<void> {
  // The schema of this step, which later ones may change.
  const roles = db as Kysely<Roles>
  for (const { name, privileges } of await roles.selectFrom('role').selectAll().execute()) {
    // Written by `Roles` and `seed`.
    const before = JSON.parse(privileges) as string[]
    const after = new Set(before.flatMap((privilege) => successors[privilege] ?? [privilege]))
    await roles
      .updateTable('role')
      .set({ privileges: JSON.stringify([...after].toSorted()) })
      .where('name', '=', name)
      .execute()
  }
  for (const name of taken) await renameRole(roles, name, `${name} (before)`)
}

async function renameRole(roles: Kysely<Roles>, name: string, newName: string): Promise<void> {
  const role = await roles.selectFrom('role').selectAll().where('name', '=', name).executeTakeFirst()
  if (role === undefined) return
  await roles
    .insertInto('role')
    .values({ ...role, name: newName })
    .execute()
  await roles.updateTable('user').set({ role_name: newName }).where('role_name', '=', name).execute()
  await roles.deleteFrom('role').where('name', '=', name).execute()
}
