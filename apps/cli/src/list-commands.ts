/** The command that shows what there is of a noun; `disk list` needs a VM, so disks lead to VMs. */
const byNoun: Readonly<Record<string, string>> = {
  approval: 'approval list --all',
  campaign: 'campaign list',
  cluster: 'cluster list',
  datastore: 'datastore list',
  folder: 'folder list',
  group: 'group list',
  'identity-source': 'identity-source list',
  permission: 'permission list',
  disk: 'vm list',
  host: 'host list',
  'key-provider': 'key-provider list',
  keys: 'keys list',
  policy: 'policy list',
  role: 'role list',
  system: 'system show',
  task: 'task list',
  token: 'token list',
  user: 'user list',
  vm: 'vm list',
}

/** The same for a field of a request. */
const byField: Readonly<Record<string, string>> = {
  cluster: 'cluster list',
  datastore: 'datastore list',
  folder: 'folder list',
  group: 'group list',
  parent: 'folder list',
  source: 'identity-source list',
  user: 'user list',
  privilege: 'role add --help',
  disks: 'disk list VM',
  home: 'policy list',
  host: 'host list',
  keyProvider: 'key-provider list',
  policy: 'policy list',
  provider: 'key-provider list',
  role: 'role list',
  task: 'task list',
  vm: 'vm list',
}

/**
 * What to run when the thing that `field` (such as `cluster` or `disks.0.policy`) names, else the thing of the command's
 * noun, is not there.
 */
export function listCommand(noun: string | undefined, field: string | undefined): string | undefined {
  const names = field?.split('.') ?? []
  const command =
    names.map((name) => byField[name]).findLast((found) => found !== undefined) ??
    (noun === undefined ? undefined : byNoun[noun])
  return command === undefined ? undefined : `cryptvisor ${command}`
}
