import type { Privilege } from '@cryptvisor/control-plane-api'

/** What a request needs beside what its route always needs, because of what it asks for or of what it is asked of. */
export interface ContentRule {
  readonly when: string
  readonly privileges: readonly Privilege[]
  /** In words: the object on which they are needed. */
  readonly on: string
}

const rule = (when: string, on: string, ...privileges: Privilege[]): ContentRule => ({ when, privileges, on })

/**
 * These rules. Business code asks for them, routes declare them (`also`), and `docs/privileges.md` lists them, all from here;
 * `http/content-rules.test.ts` acts each of them out.
 */
export const contentRules = {
  createEncrypted: rule('the VM is to be encrypted', 'the folder', 'Cryptographer.EncryptNew'),
  addDiskAtCreation: rule('disks are asked for', 'the folder', 'VirtualMachine.Config.AddNewDisk'),
  allocate: rule('always', 'the datastore, named or chosen', 'Datastore.AllocateSpace'),
  makeSafe: rule('it needs a key and the host is not crypto-safe yet', 'the host', 'Cryptographer.RegisterHost'),
  registerEncrypted: rule('the VM is encrypted', 'the folder where it goes, or the VM', 'Cryptographer.RegisterVM'),
  acceptPlain: rule('something that was encrypted is plain there', 'the VM', 'Cryptographer.Decrypt'),
  encrypt: rule('it encrypts', 'the VM', 'Cryptographer.Encrypt'),
  decrypt: rule('it decrypts', 'the VM', 'Cryptographer.Decrypt'),
  addEncryptedDisk: rule('the disk is to be encrypted', 'the VM', 'Cryptographer.AddDisk', 'Cryptographer.EncryptNew'),
  addDiskToEncrypted: rule('the VM is encrypted', 'the VM', 'Cryptographer.AddDisk'),
  attachEncrypted: rule('the detached disk is encrypted', 'the VM', 'Cryptographer.AddDisk'),
  managesEncryption: rule(
    'the policy encrypts, before or afterwards',
    'the root',
    'Cryptographer.ManageEncryptionPolicy',
  ),
  applyEncrypts: rule('it would encrypt something', 'the VM', 'Cryptographer.Encrypt'),
  applyDecrypts: rule('it would decrypt something', 'the VM', 'Cryptographer.Decrypt'),
  applyRekeys: rule('it would rekey something', 'the VM', 'Cryptographer.Recrypt'),
  rawDevice: rule('a block device is asked for', 'the VM', 'VirtualMachine.Config.RawDevice'),
  readEncrypted: rule('the disk is encrypted', 'the VM', 'Cryptographer.Access'),
  cloneEncrypted: rule('the VM is encrypted', 'the VM', 'Cryptographer.Clone'),
  cloneInto: rule('always', 'the folder where the clone goes', 'VirtualMachine.Inventory.CreateFromExisting'),
  moveHostInto: rule(
    'always',
    'the cluster where it goes',
    'Host.Inventory.AddHostToCluster',
    'Cryptographer.RegisterHost',
  ),
  moveVmInto: rule('always', 'the folder where it goes', 'VirtualMachine.Inventory.Move'),
  powerOn: rule('the action is power-on or resume', 'the VM', 'VirtualMachine.Interact.PowerOn'),
  powerOff: rule('the action is power-off or shut-down', 'the VM', 'VirtualMachine.Interact.PowerOff'),
  reset: rule('the action is reset', 'the VM', 'VirtualMachine.Interact.Reset'),
  suspend: rule('the action is pause', 'the VM', 'VirtualMachine.Interact.Suspend'),
  declareOff: rule('always', "the VM's host", 'Host.Config.Maintenance'),
  migrateTo: rule('always', 'the host where it goes', 'Resource.ColdMigrate'),
  migrateEncrypted: rule('the VM is encrypted', 'the VM', 'Cryptographer.Migrate'),
  othersSessions: rule("it is another user's", 'the root', 'Sessions.TerminateSession'),
  othersTokens: rule("it is another user's", 'the root', 'Authorization.ModifyPermissions'),
  checkOthers: rule('it is about another user', 'the object', 'Authorization.ModifyPermissions'),
  checkOneself: rule('it is about oneself', 'the object', 'System.Read'),
  moveFolderInto: rule('always', 'the folder where it goes', 'Folder.Move'),
} as const satisfies Readonly<Record<string, ContentRule>>
