/**
 * Privileges under vSphere's identifiers. The `Cryptographer` ones are those that this control plane enforces; nothing
 * else lets a user touch keys.
 */
export const privileges = [
  'System.Read',
  'Authorization.ModifyPermissions',
  'Authorization.ModifyRoles',
  'Datastore.Config',
  'Host.Inventory.EditCluster',
  'Host.Inventory.RemoveHost',
  'Task.Cancel',
  'VApp.Export',
  'VirtualMachine.Config.AddNewDisk',
  'VirtualMachine.Config.RawDevice',
  'VirtualMachine.Inventory.Create',
  'VirtualMachine.Inventory.Delete',
  'StorageProfile.Apply',
  'Cryptographer.Access',
  'Cryptographer.AddDisk',
  'Cryptographer.Clone',
  'Cryptographer.Decrypt',
  'Cryptographer.Encrypt',
  'Cryptographer.EncryptNew',
  'Cryptographer.ManageKeyServers',
  'Cryptographer.ManageKeys',
  'Cryptographer.Recrypt',
  'Cryptographer.RegisterHost',
  'Cryptographer.RegisterVM',
] as const

export type Privilege = (typeof privileges)[number]

export const isPrivilege = (text: string): text is Privilege => (privileges as readonly string[]).includes(text)

const isCryptographic = (privilege: Privilege) => privilege.startsWith('Cryptographer.')

/** The roles that are always there and cannot be changed. */
export const systemRoles: Readonly<Record<string, readonly Privilege[]>> = {
  Admin: privileges,
  NoCryptoAdmin: privileges.filter((privilege) => !isCryptographic(privilege)),
  ReadOnly: ['System.Read'],
}
