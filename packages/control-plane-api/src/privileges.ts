/**
 * Every privilege that there is, under vSphere's identifier, with what its holder may do. A name that is not in this table
 * is refused, never ignored.
 */
const meanings = {
  'System.Read': 'See an object and what happens to it; without this it is as if it were not there',

  'Alarm.Acknowledge': 'Acknowledge an alarm',
  'Alarm.Edit': 'Change thresholds and recipients of alarms',
  'Alarm.SetStatus': 'Clear an alarm by hand',
  'Alarm.DisableActions': 'Switch an alarm off and on',

  'Authorization.ModifyPermissions': 'Manage users, groups and permissions',
  'Authorization.ModifyRoles': 'Make, change and remove roles',
  'Certificate.Manage': 'Renew and replace certificates',
  'VcIdentityProviders.Manage': 'Set up LDAP and OpenID Connect',
  'VcIdentityProviders.Read': 'See how LDAP and OpenID Connect are set up',

  'Cryptographer.Access': 'Read an encrypted VM from outside: export, console, backup of headers',
  'Cryptographer.AddDisk': 'Add a disk to an encrypted VM',
  'Cryptographer.Clone': 'Clone an encrypted VM',
  'Cryptographer.Decrypt': 'Decrypt a VM or a disk',
  'Cryptographer.Encrypt': 'Encrypt a VM or a disk that is there',
  'Cryptographer.EncryptNew': 'Make an encrypted VM or disk',
  'Cryptographer.ManageEncryptionPolicy': 'Make, change and remove storage policies that encrypt',
  'Cryptographer.ManageKeyServers': 'Manage key providers: servers, trust, defaults',
  'Cryptographer.ManageKeys': 'See, revoke and destroy keys; approve what destroys',
  'Cryptographer.Migrate': 'Move an encrypted VM to another host or datastore',
  'Cryptographer.ReadKeyServersInfo': 'See key providers, their servers and their health',
  'Cryptographer.Recrypt': 'Give an encrypted VM other keys, shallow or deep',
  'Cryptographer.RegisterHost': "Make a host crypto-safe: it is given its cluster's keys",
  'Cryptographer.RegisterVM': 'Register or unlock an encrypted VM',

  'Datastore.AllocateSpace': 'Put a VM or a disk onto a datastore',
  'Datastore.Browse': 'List what lies on a datastore',
  'Datastore.Config': 'Make and change a datastore',
  'Datastore.Delete': 'Take a datastore out of the inventory',
  'Datastore.FileManagement': 'Delete files of a datastore that belong to no VM',

  'Folder.Create': 'Make a folder in a folder',
  'Folder.Delete': 'Remove a folder',
  'Folder.Move': 'Move a folder: on the folder and on where it goes',
  'Folder.Rename': 'Rename a folder',

  'Global.CancelTask': 'Cancel, pause, resume and slow down a task',
  'Global.Diagnostics': 'Read support bundles, core dumps and the audit trail',
  'Global.Health': 'Read metrics and the details of health',
  'Global.Settings': 'Change settings of the control plane; back it up',

  'Host.Config.Maintenance': 'Decommission a host, end what it runs that is not its to run, or declare its VMs off',
  'Host.Config.Settings': 'Change settings of a host',
  'Host.Inventory.AddHostToCluster': 'Enrol a host into a cluster',
  'Host.Inventory.CreateCluster': 'Make a cluster',
  'Host.Inventory.DeleteCluster': 'Remove a cluster',
  'Host.Inventory.EditCluster': 'Change settings of a cluster',
  'Host.Inventory.MoveHost': 'Move a host to another cluster',
  'Host.Inventory.RemoveHostFromCluster': 'Remove a host',

  'Resource.ColdMigrate': 'Give a VM that is off to another host: on the VM and on that host',

  'ScheduledTask.Create': 'Make a campaign or a schedule',
  'ScheduledTask.Delete': 'Remove a campaign or a schedule',
  'ScheduledTask.Edit': 'Change a campaign or a schedule',
  'ScheduledTask.Run': 'Start, pause, resume and cancel a campaign',

  'Sessions.TerminateSession': "See other users' sessions and end them",

  'StorageProfile.Apply': 'Give a VM or a disk another storage policy',
  'StorageProfile.Update': 'Make, change and remove storage policies',
  'StorageProfile.View': 'See storage policies and what complies with them',

  'VApp.Export': "Read a VM's disks out",

  'VirtualMachine.Config.AddExistingDisk': 'Attach a disk that is there',
  'VirtualMachine.Config.AddNewDisk': 'Add a new disk to a VM, empty or imported',
  'VirtualMachine.Config.RawDevice': 'Give a VM a block device',
  'VirtualMachine.Config.RemoveDisk': 'Detach or remove a disk of a VM',
  'VirtualMachine.Config.Settings': 'Change settings of a VM',
  'VirtualMachine.Interact.PowerOff': 'Stop a VM: power it off, or have its guest shut down',
  'VirtualMachine.Interact.PowerOn': 'Start a VM, or let one that is paused go on',
  'VirtualMachine.Interact.Reset': 'Reset a VM',
  'VirtualMachine.Interact.Suspend': 'Pause a VM',
  'VirtualMachine.Inventory.Create': 'Make a VM in a folder',
  'VirtualMachine.Inventory.CreateFromExisting': 'Put a clone into a folder',
  'VirtualMachine.Inventory.Delete': 'Delete a VM with its files',
  'VirtualMachine.Inventory.Move': 'Move a VM: on the VM and on the folder where it goes',
  'VirtualMachine.Inventory.Register': 'Register a VM that lies on a datastore',
  'VirtualMachine.Inventory.Unregister': 'Forget a VM and leave its files',
  'VirtualMachine.Provisioning.Clone': 'Clone a VM',
} as const satisfies Readonly<Record<string, string>>

export type Privilege = keyof typeof meanings

/** What the holder of each privilege may do, in one line. */
export const privilegeMeanings: Readonly<Record<Privilege, string>> = meanings

/** All privileges, by group. */
// `Object.keys` of a constant gives exactly its keys.
export const privileges = Object.keys(meanings) as readonly Privilege[]

export const isPrivilege = (text: string): text is Privilege => Object.hasOwn(meanings, text)

/**
 * What vSphere's «No cryptography administrator» lacks beside the `Cryptographer` ones, as far as it exists here: what would
 * let its holder read memory and logs of hosts, or bring in a host of their own, which would be given keys.
 */
const nearKeys: ReadonlySet<Privilege> = new Set(['Global.Diagnostics', 'Host.Inventory.AddHostToCluster'])

/** Looks after keys, providers and policies, and can neither read a VM's data nor have it decrypted. */
const keyAdministration: readonly Privilege[] = [
  'System.Read',
  'Alarm.Acknowledge',
  'Cryptographer.ManageEncryptionPolicy',
  'Cryptographer.ManageKeyServers',
  'Cryptographer.ManageKeys',
  'Cryptographer.ReadKeyServersInfo',
  'Cryptographer.Recrypt',
  'Cryptographer.RegisterHost',
  'Cryptographer.RegisterVM',
  'Global.CancelTask',
  'Global.Health',
  'ScheduledTask.Create',
  'ScheduledTask.Delete',
  'ScheduledTask.Edit',
  'ScheduledTask.Run',
  'StorageProfile.Update',
  'StorageProfile.View',
]

/**
 * The roles that are always there and cannot be changed. `NoAccess` has nothing: given to somebody on an object, it takes
 * away what they have from above.
 */
export const systemRoles: Readonly<Record<string, readonly Privilege[]>> = {
  Admin: privileges,
  NoCryptoAdmin: privileges.filter((each) => !each.startsWith('Cryptographer.') && !nearKeys.has(each)),
  KeyAdmin: keyAdministration,
  ReadOnly: ['System.Read'],
  NoAccess: [],
}
