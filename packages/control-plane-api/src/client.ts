import type { Readable } from 'node:stream'
import { type Call, pathOf, type RestClient, type StreamedAnswer } from '@cryptvisor/rest/client'
import type { Secret } from '@cryptvisor/secret'
import type { Static } from 'typebox'
import type {
  ApiToken,
  ApiTokenList,
  ChangePassword,
  ChangeRole,
  ChangeUser,
  CreateApiToken,
  CreateRole,
  CreateUser,
  LoginAnswer,
  LoginRequest,
  Me,
  NewApiToken,
  Role,
  RoleList,
  SessionList,
  User,
  UserList,
} from './access.ts'
import type {
  Alarm,
  AlarmDefinition,
  AlarmDefinitionList,
  AlarmList,
  AlarmQuery,
  ChangeAlarmDefinition,
  PrunedEvents,
  Retention,
} from './alarms.ts'
import type { Approval, ApprovalList, ApproveRequest, CloseRequest } from './approvals.ts'
import type { AuditCheck, AuditCheckpoint, AuditList, AuditQuery, PruneAudit } from './audit.ts'
import type {
  Campaign,
  CampaignList,
  CampaignPlan,
  CampaignPreview,
  CampaignReport,
  CancelCampaign,
  CreateCampaign,
  MigrateProvider,
  ProviderReferenceList,
} from './campaigns.ts'
import type { CertificateList } from './certificates.ts'
import type { ApplyPlanList, ApplyPolicies, ApplyStarted, VmComplianceList } from './compliance.ts'
import type { CoverageFormat } from './coverage.ts'
import type { EraseVm, Erasure, ErasureList } from './erasures.ts'
import type { Event, EventList, EventQuery } from './events.ts'
import type { CreateFolder, Folder, FolderList, MoveTo, RenameFolder } from './folders.ts'
import type {
  DecommissionHost,
  ExposedKeyList,
  HostKeyChoice,
  MoveHost,
  RekeyHosts,
  SetCryptoMode,
  StartedForHosts,
} from './host-crypto.ts'
import type { HostDumpList } from './host-dumps.ts'
import type {
  BeginDeviceLogin,
  BeginOidcLogin,
  ChangeIdentitySource,
  CreateIdentitySource,
  DeviceLoginBegun,
  DeviceLoginState,
  FinishDeviceLogin,
  FinishOidcLogin,
  GroupMapping,
  IdentitySource,
  IdentitySourceList,
  LoginSourceList,
  OidcLoginBegun,
} from './identity-sources.ts'
import type {
  Cluster,
  ClusterList,
  CreateCluster,
  CreateDatastore,
  CreateEnrolmentToken,
  Datastore,
  DatastoreList,
  Host,
  HostList,
  NewEnrolmentToken,
} from './inventory.ts'
import type { KeyHealthList, UsedKeyHealth, VerifyKeys } from './key-health.ts'
import type {
  DestroyedRetiredKeys,
  DestroyKey,
  DestroyRetiredKeys,
  KeyOrder,
  KeyOrderList,
  KeyOrphanList,
  KeyRequested,
  RetiredKeyList,
  RevokeKey,
} from './key-lives.ts'
import type { EnableKeyPersistence, HostKeyPersistence } from './key-persistence.ts'
import type {
  ActivateClientTrust,
  AddProviderServer,
  ChangeProviderServer,
  ClearDefaultProvider,
  ClientTrust,
  InspectedServer,
  InspectServer,
  KeyProviderDetail,
  PrepareClientTrust,
  ProviderChoice,
  ProviderDefaults,
  SetDefaultProvider,
  SignedClientCertificate,
  TrustServers,
} from './key-provider-trust.ts'
import type {
  AddKeyProvider,
  ChangeKeyProvider,
  Key,
  KeyList,
  KeyProvider,
  KeyProviderList,
  KeyProviderStatus,
} from './key-providers.ts'
import type { SetKeyType } from './key-types.ts'
import type { KeyUsageGraph } from './key-usage.ts'
import type { IdentityRecheck, IdentitySourceTest, TestIdentitySource } from './ldap-sources.ts'
import type { ConfirmBackup, WaitingRestore } from './native-providers.ts'
import type { CreateNotification, NotificationTarget, NotificationTargetList } from './notifications.ts'
import type {
  CreateGroup,
  Group,
  GroupList,
  ObjectKind,
  Permission,
  PermissionCheck,
  PermissionList,
  RemovePermission,
  SetPermission,
} from './permissions.ts'
import type {
  ChangeStoragePolicy,
  CreateStoragePolicy,
  DetachedDiskList,
  StoragePolicy,
  StoragePolicyList,
} from './policies.ts'
import type { ChangePower, DeclareOff, MigrateVm } from './power.ts'
import type { RebootCheckList } from './reboot-check.ts'
import type { AcceptVm, DatastoreContent, Reconciliation, RegisterVm, VmComparison } from './registration.ts'
import type { LoginRule, NewSecondFactor, RecoveryCodes, SecondFactorCode, SecondFactorState } from './second-factor.ts'
import type { OpenHostBundle, SupportBundlePlan, TakeHostBundle, TakeSystemBundle } from './support-bundles.ts'
import type { BackupSchedule, SetBackupSchedule, System } from './system.ts'
import type { Task, TaskList, TaskSpeed, TaskStarted } from './tasks.ts'
import type {
  AddDisk,
  AttachDisk,
  ChangePolicy,
  CloneVm,
  CreateVm,
  DetachDisk,
  DiskList,
  ExportDisk,
  ImportDisk,
  ImportVolume,
  RekeyVm,
  RestoreHeader,
  UnlockVms,
  Vm,
  VmList,
} from './vms.ts'

const api = (...segments: readonly (string | number)[]) => `/api/v1${pathOf(...segments)}`

/** Calls the control plane. Every method throws `RestClientError`. The one door for CLI, web UI and tests. */
export class ControlPlaneClient {
  readonly #rest: RestClient

  constructor(rest: RestClient) {
    this.#rest = rest
  }

  login(body: LoginRequest): Promise<LoginAnswer> {
    return this.#send('POST', api('login'), body)
  }
  async logout(): Promise<void> {
    await this.#send('POST', api('logout'))
  }
  me(): Promise<Me> {
    return this.#get(api('me'))
  }

  users(): Promise<Static<typeof UserList>> {
    return this.#get(api('users'))
  }
  createUser(body: CreateUser): Promise<User> {
    return this.#send('POST', api('users'), body)
  }
  changeUser(name: string, body: ChangeUser): Promise<User> {
    return this.#send('PATCH', api('users', name), body)
  }
  async deleteUser(name: string): Promise<void> {
    await this.#send('DELETE', api('users', name))
  }
  async changePassword(body: ChangePassword): Promise<void> {
    await this.#send('POST', api('me', 'password'), body)
  }
  /** One's own; everybody's for who may end sessions. */
  sessions(): Promise<Static<typeof SessionList>> {
    return this.#get(api('sessions'))
  }
  async endSession(id: string): Promise<void> {
    await this.#send('DELETE', api('sessions', id))
  }
  async endSessions(user: string): Promise<void> {
    await this.#send('DELETE', api('users', user, 'sessions'))
  }
  secondFactor(): Promise<SecondFactorState> {
    return this.#get(api('me', 'second-factor'))
  }
  /** The only time that the secret is shown. */
  enrollSecondFactor(): Promise<NewSecondFactor> {
    return this.#send('POST', api('me', 'second-factor'))
  }
  /** The only time that the recovery codes are shown. */
  confirmSecondFactor(body: SecondFactorCode): Promise<RecoveryCodes> {
    return this.#send('POST', api('me', 'second-factor', 'confirm'), body)
  }
  async disableSecondFactor(body: SecondFactorCode): Promise<void> {
    await this.#send('POST', api('me', 'second-factor', 'disable'), body)
  }
  async resetSecondFactor(user: string): Promise<void> {
    await this.#send('DELETE', api('users', user, 'second-factor'))
  }
  loginRule(): Promise<LoginRule> {
    return this.#get(api('login-rule'))
  }
  setLoginRule(body: LoginRule): Promise<LoginRule> {
    return this.#send('PUT', api('login-rule'), body)
  }
  /** For everybody, as the four that follow. */
  loginSources(): Promise<Static<typeof LoginSourceList>> {
    return this.#get(api('login', 'sources'))
  }
  beginOidcLogin(body: BeginOidcLogin): Promise<OidcLoginBegun> {
    return this.#send('POST', api('login', 'oidc'), body)
  }
  finishOidcLogin(body: FinishOidcLogin): Promise<LoginAnswer> {
    return this.#send('POST', api('login', 'oidc', 'finish'), body)
  }
  beginDeviceLogin(body: BeginDeviceLogin): Promise<DeviceLoginBegun> {
    return this.#send('POST', api('login', 'device'), body)
  }
  finishDeviceLogin(body: FinishDeviceLogin): Promise<DeviceLoginState> {
    return this.#send('POST', api('login', 'device', 'finish'), body)
  }
  identitySources(): Promise<Static<typeof IdentitySourceList>> {
    return this.#get(api('identity-sources'))
  }
  identitySource(name: string): Promise<IdentitySource> {
    return this.#get(api('identity-sources', name))
  }
  createIdentitySource(body: CreateIdentitySource): Promise<IdentitySource> {
    return this.#send('POST', api('identity-sources'), body)
  }
  changeIdentitySource(name: string, body: ChangeIdentitySource): Promise<IdentitySource> {
    return this.#send('PATCH', api('identity-sources', name), body)
  }
  async deleteIdentitySource(name: string): Promise<void> {
    await this.#send('DELETE', api('identity-sources', name))
  }
  async setIdentitySourceSecret(name: string, secret: Secret): Promise<void> {
    await this.#rest.call({ method: 'PUT', path: api('identity-sources', name, 'secret'), content: secret })
  }
  /** Whether it works, and what it says of a user; changes nothing. */
  testIdentitySource(name: string, body: TestIdentitySource): Promise<IdentitySourceTest> {
    return this.#send('POST', api('identity-sources', name, 'test'), body)
  }
  /** Asks a directory about its users now, as is done by itself every quarter of an hour. */
  recheckIdentitySource(name: string): Promise<IdentityRecheck> {
    return this.#send('POST', api('identity-sources', name, 'recheck'), {})
  }
  async mapGroup(source: string, body: GroupMapping): Promise<void> {
    await this.#send('PUT', api('identity-sources', source, 'groups'), body)
  }
  async unmapGroup(source: string, body: GroupMapping): Promise<void> {
    await this.#send('POST', api('identity-sources', source, 'groups', 'remove'), body)
  }
  groups(): Promise<Static<typeof GroupList>> {
    return this.#get(api('groups'))
  }
  createGroup(body: CreateGroup): Promise<Group> {
    return this.#send('POST', api('groups'), body)
  }
  async deleteGroup(name: string): Promise<void> {
    await this.#send('DELETE', api('groups', name))
  }
  async addMember(group: string, user: string): Promise<void> {
    await this.#send('PUT', api('groups', group, 'members', user))
  }
  async removeMember(group: string, user: string): Promise<void> {
    await this.#send('DELETE', api('groups', group, 'members', user))
  }
  permissions(
    query: { user?: string; group?: string; kind?: ObjectKind; name?: string } = {},
  ): Promise<Static<typeof PermissionList>> {
    return this.#rest.call({ method: 'GET', path: api('permissions'), query })
  }
  setPermission(body: SetPermission): Promise<Permission> {
    return this.#send('PUT', api('permissions'), body)
  }
  async removePermission(body: RemovePermission): Promise<void> {
    await this.#send('POST', api('permissions', 'remove'), body)
  }
  /** Whether a user has a privilege on an object, and what decides. */
  checkPermission(query: {
    user: string
    privilege: string
    kind: ObjectKind
    name: string
  }): Promise<PermissionCheck> {
    return this.#rest.call({ method: 'GET', path: api('permissions', 'check'), query })
  }
  roles(): Promise<Static<typeof RoleList>> {
    return this.#get(api('roles'))
  }
  createRole(body: CreateRole): Promise<Role> {
    return this.#send('POST', api('roles'), body)
  }
  changeRole(name: string, body: ChangeRole): Promise<Role> {
    return this.#send('PATCH', api('roles', name), body)
  }
  async deleteRole(name: string): Promise<void> {
    await this.#send('DELETE', api('roles', name))
  }
  tokens(): Promise<Static<typeof ApiTokenList>> {
    return this.#get(api('tokens'))
  }
  createToken(body: CreateApiToken): Promise<NewApiToken> {
    return this.#send('POST', api('tokens'), body)
  }
  async deleteToken(id: ApiToken['id']): Promise<void> {
    await this.#send('DELETE', api('tokens', id))
  }

  folders(): Promise<Static<typeof FolderList>> {
    return this.#get(api('folders'))
  }
  createFolder(body: CreateFolder): Promise<Folder> {
    return this.#send('POST', api('folders'), body)
  }
  /** `folder`: its path or its ID. */
  renameFolder(folder: string, body: RenameFolder): Promise<Folder> {
    return this.#send('PATCH', api('folders', folder), body)
  }
  moveFolder(folder: string, body: MoveTo): Promise<Folder> {
    return this.#send('POST', api('folders', folder, 'move'), body)
  }
  async deleteFolder(folder: string): Promise<void> {
    await this.#send('DELETE', api('folders', folder))
  }
  moveVm(nameOrId: string, body: MoveTo): Promise<Vm> {
    return this.#send('POST', api('vms', nameOrId, 'move'), body)
  }

  changePower(nameOrId: string, body: ChangePower): Promise<TaskStarted> {
    return this.#send('POST', api('vms', nameOrId, 'power'), body)
  }
  declareOff(nameOrId: string, body: DeclareOff): Promise<Vm> {
    return this.#send('POST', api('vms', nameOrId, 'declare-off'), body)
  }
  migrateVm(nameOrId: string, body: MigrateVm): Promise<TaskStarted> {
    return this.#send('POST', api('vms', nameOrId, 'migrate'), body)
  }
  /** `vm`: name or ID of a VM that the host is not to run. */
  async stopStray(host: string, vm: string): Promise<void> {
    await this.#send('POST', api('hosts', host, 'machines', vm, 'stop'))
  }

  clusters(): Promise<Static<typeof ClusterList>> {
    return this.#get(api('clusters'))
  }
  createCluster(body: CreateCluster): Promise<Cluster> {
    return this.#send('POST', api('clusters'), body)
  }
  async deleteCluster(name: string): Promise<void> {
    await this.#send('DELETE', api('clusters', name))
  }
  hosts(): Promise<Static<typeof HostList>> {
    return this.#get(api('hosts'))
  }
  host(name: string): Promise<Host> {
    return this.#get(api('hosts', name))
  }
  createEnrolmentToken(body: CreateEnrolmentToken): Promise<NewEnrolmentToken> {
    return this.#send('POST', api('hosts', 'enrolment-tokens'), body)
  }
  /** Revokes the host's identity at once. Refused while VMs are on it. */
  async deleteHost(name: string): Promise<void> {
    await this.#send('DELETE', api('hosts', name))
  }
  enableHostCrypto(name: string, body: HostKeyChoice): Promise<TaskStarted> {
    return this.#send('POST', api('hosts', name, 'crypto', 'enable'), body)
  }
  /** Refused while encrypted VMs are on the host. */
  disableHostCrypto(name: string): Promise<TaskStarted> {
    return this.#send('POST', api('hosts', name, 'crypto', 'disable'))
  }
  rekeyHost(name: string, body: HostKeyChoice): Promise<TaskStarted> {
    return this.#send('POST', api('hosts', name, 'rekey'), body)
  }
  rekeyHosts(cluster: string, body: RekeyHosts): Promise<StartedForHosts> {
    return this.#send('POST', api('clusters', cluster, 'rekey-hosts'), body)
  }
  async setCryptoMode(cluster: string, body: SetCryptoMode): Promise<void> {
    await this.#send('PUT', api('clusters', cluster, 'crypto-mode'), body)
  }
  /** Its agent asks for a new certificate soon, and shows that from then on. */
  async renewHostCertificate(name: string): Promise<void> {
    await this.#send('POST', api('hosts', name, 'renew-certificate'))
  }
  certificates(): Promise<Static<typeof CertificateList>> {
    return this.#get(api('certificates'))
  }
  /** Refused while VMs are on the host. */
  moveHost(name: string, body: MoveHost): Promise<TaskStarted> {
    return this.#send('POST', api('hosts', name, 'move'), body)
  }
  decommissionHost(name: string, body: DecommissionHost): Promise<TaskStarted> {
    return this.#send('POST', api('hosts', name, 'decommission'), body)
  }
  /** Asks the host's key providers for each key that it needs. */
  checkReboot(host: string): Promise<RebootCheckList> {
    return this.#rest.call({ method: 'GET', path: api('hosts', host, 'check-reboot'), timeoutMs: 600_000 })
  }
  checkClusterReboot(cluster: string): Promise<RebootCheckList> {
    return this.#rest.call({ method: 'GET', path: api('clusters', cluster, 'check-reboot'), timeoutMs: 600_000 })
  }
  /** Whether a host keeps its keys across restarts. */
  keyPersistence(host: string): Promise<HostKeyPersistence> {
    return this.#get(api('hosts', host, 'key-persistence'))
  }
  enableKeyPersistence(host: string, body: EnableKeyPersistence): Promise<HostKeyPersistence> {
    return this.#send('PUT', api('hosts', host, 'key-persistence'), body)
  }
  disableKeyPersistence(host: string): Promise<HostKeyPersistence> {
    return this.#send('DELETE', api('hosts', host, 'key-persistence'))
  }
  /** Core dumps that lie sealed on a host. */
  hostDumps(host: string): Promise<Static<typeof HostDumpList>> {
    return this.#get(api('hosts', host, 'dumps'))
  }
  /** A core dump of a host, opened, as it comes. */
  openHostDump(host: string, dump: string, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: api('hosts', host, 'dumps', dump, 'open'),
      ...(signal === undefined ? {} : { signal }),
    })
  }
  /** What a support bundle of a host would have. */
  hostBundlePlan(host: string): Promise<SupportBundlePlan> {
    return this.#rest.call({ method: 'GET', path: api('hosts', host, 'support-bundle'), timeoutMs: 60_000 })
  }
  /** A support bundle of a host, as it is made. */
  takeHostBundle(host: string, body: TakeHostBundle, signal?: AbortSignal): Promise<Readable> {
    return this.#rest.flow({
      ...{ method: 'POST', path: api('hosts', host, 'support-bundle'), json: body, timeoutMs: 120_000 },
      ...(signal === undefined ? {} : { signal }),
    })
  }
  /** The key of one bundle that was sealed to a key of that host, as bytes: it opens that bundle and nothing else. */
  openHostBundle(host: string, body: OpenHostBundle): Promise<StreamedAnswer> {
    const path = api('hosts', host, 'support-bundle', 'open')
    return this.#rest.stream({ method: 'POST', path, json: body, timeoutMs: 60_000 })
  }
  /** What a support bundle of the control plane would have. */
  systemBundlePlan(): Promise<SupportBundlePlan> {
    return this.#get(api('system', 'support-bundle'))
  }
  /** A support bundle of the control plane, as it is made. */
  takeSystemBundle(body: TakeSystemBundle, signal?: AbortSignal): Promise<Readable> {
    return this.#rest.flow({
      ...{ method: 'POST', path: api('system', 'support-bundle'), json: body, timeoutMs: 120_000 },
      ...(signal === undefined ? {} : { signal }),
    })
  }
  exposedKeys(query: { host?: string } = {}): Promise<Static<typeof ExposedKeyList>> {
    return this.#rest.call({ method: 'GET', path: api('exposed-keys'), query })
  }
  datastores(): Promise<Static<typeof DatastoreList>> {
    return this.#get(api('datastores'))
  }
  createDatastore(body: CreateDatastore): Promise<Datastore> {
    return this.#send('POST', api('datastores'), body)
  }
  async deleteDatastore(name: string): Promise<void> {
    await this.#send('DELETE', api('datastores', name))
  }
  policies(): Promise<Static<typeof StoragePolicyList>> {
    return this.#get(api('policies'))
  }
  policy(name: string): Promise<StoragePolicy> {
    return this.#get(api('policies', name))
  }
  createPolicy(body: CreateStoragePolicy): Promise<StoragePolicy> {
    return this.#send('POST', api('policies'), body)
  }
  changeStoragePolicy(name: string, body: ChangeStoragePolicy): Promise<StoragePolicy> {
    return this.#send('PATCH', api('policies', name), body)
  }
  /** Refused while a VM or disk has it. */
  async deletePolicy(name: string): Promise<void> {
    await this.#send('DELETE', api('policies', name))
  }

  compliance(query: { vm?: string; policy?: string } = {}): Promise<Static<typeof VmComplianceList>> {
    return this.#rest.call({ method: 'GET', path: api('compliance'), query })
  }
  /** What `applyPolicies` would do, and what it could not. */
  planPolicies(query: ApplyPolicies): Promise<Static<typeof ApplyPlanList>> {
    return this.#rest.call({ method: 'GET', path: api('compliance', 'plan'), query })
  }
  applyPolicies(body: ApplyPolicies): Promise<ApplyStarted> {
    return this.#send('POST', api('compliance', 'apply'), body)
  }
  detachedDisks(): Promise<Static<typeof DetachedDiskList>> {
    return this.#get(api('detached-disks'))
  }
  removeDetachedDisk(layer: string): Promise<TaskStarted> {
    return this.#send('DELETE', api('detached-disks', layer))
  }
  attachDisk(vm: string, body: AttachDisk): Promise<TaskStarted> {
    return this.#send('POST', api('vms', vm, 'disks', 'attach'), body)
  }
  detachDisk(vm: string, number: number, body: DetachDisk): Promise<TaskStarted> {
    return this.#send('POST', api('vms', vm, 'disks', number, 'detach'), body)
  }

  keyProviders(): Promise<Static<typeof KeyProviderList>> {
    return this.#get(api('key-providers'))
  }
  /**
   * Sends the private key, PEM, of a key provider that is to be added next; a second one takes the first one's place. It
   * waits for at most an hour and lies sealed.
   */
  async uploadClientKey(provider: string, clientKey: Secret): Promise<void> {
    await this.#rest.call({ method: 'PUT', path: api('key-providers', provider, 'client-key'), content: clientKey })
  }
  /** Its client key has to be there: `uploadClientKey`. */
  addKeyProvider(body: AddKeyProvider): Promise<KeyProvider> {
    return this.#send('POST', api('key-providers'), body)
  }
  keyProvider(name: string): Promise<KeyProviderDetail> {
    return this.#get(api('key-providers', name))
  }
  changeKeyProvider(name: string, body: ChangeKeyProvider): Promise<KeyProvider> {
    return this.#send('PATCH', api('key-providers', name), body)
  }
  /** Makes it the default of the system, or of an entity; refused while its keys cannot be had, unless forced. */
  setDefaultKeyProvider(name: string, body: SetDefaultProvider = {}): Promise<KeyProvider> {
    return this.#send('POST', api('key-providers', name, 'default'), body)
  }
  async clearDefaultKeyProvider(body: ClearDefaultProvider): Promise<void> {
    await this.#send('POST', api('key-provider-defaults', 'clear'), body)
  }
  keyProviderDefaults(): Promise<ProviderDefaults> {
    return this.#get(api('key-provider-defaults'))
  }
  /** The provider that would be asked for a new key of a VM. */
  keyProviderFor(vm: string): Promise<ProviderChoice> {
    return this.#get(api('vms', vm, 'key-provider'))
  }
  /** What a KMIP server shows, for a person to compare before it is trusted. */
  inspectKeyServer(query: InspectServer): Promise<InspectedServer> {
    return this.#rest.call({ method: 'GET', path: api('key-server-certificate'), query })
  }
  trustKeyServers(provider: string, body: TrustServers): Promise<KeyProvider> {
    return this.#send('POST', api('key-providers', provider, 'server-trust'), body)
  }
  addKeyServer(provider: string, body: AddProviderServer): Promise<KeyProvider> {
    return this.#send('POST', api('key-providers', provider, 'servers'), body)
  }
  /** `server`: as `HOST:PORT`. */
  changeKeyServer(provider: string, server: string, body: ChangeProviderServer): Promise<KeyProvider> {
    return this.#send('PATCH', api('key-providers', provider, 'servers', server), body)
  }
  removeKeyServer(provider: string, server: string): Promise<KeyProvider> {
    return this.#send('DELETE', api('key-providers', provider, 'servers', server))
  }
  clientTrust(provider: string): Promise<ClientTrust> {
    return this.#get(api('key-providers', provider, 'client-trust'))
  }
  /** For the way `upload` the key has to be there: `uploadClientKey`. */
  prepareClientTrust(provider: string, body: PrepareClientTrust): Promise<ClientTrust> {
    return this.#send('POST', api('key-providers', provider, 'client-trust'), body)
  }
  sendSignedCertificate(provider: string, body: SignedClientCertificate): Promise<ClientTrust> {
    return this.#send('POST', api('key-providers', provider, 'client-trust', 'certificate'), body)
  }
  activateClientTrust(provider: string, body: ActivateClientTrust): Promise<ClientTrust> {
    return this.#send('POST', api('key-providers', provider, 'client-trust', 'activate'), body)
  }
  keyProviderStatus(name: string): Promise<KeyProviderStatus> {
    return this.#get(api('key-providers', name, 'status'))
  }
  /** Refused while a VM or host uses a key of it. */
  async deleteKeyProvider(name: string): Promise<void> {
    await this.#send('DELETE', api('key-providers', name))
  }
  setKeyType(provider: string, body: SetKeyType): Promise<KeyProvider> {
    return this.#send('PUT', api('key-providers', provider, 'key-type'), body)
  }
  /** Has another wrapping key made now. */
  rotateWrappingKey(provider: string): Promise<KeyProvider> {
    return this.#send('POST', api('key-providers', provider, 'wrapping-key'))
  }
  /** Adds a native key provider; it makes no keys before its backup was taken and confirmed. */
  addNativeProvider(name: string): Promise<KeyProvider> {
    return this.#send('POST', api('native-key-providers'), { name })
  }
  /** Its derivation keys as a PKCS#12 file under a password (UTF-8), as it comes. */
  backupKeyProvider(name: string, password: Secret, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: api('native-key-providers', name, 'backup'),
      content: password,
      ...(signal === undefined ? {} : { signal }),
    })
  }
  confirmBackup(name: string, body: ConfirmBackup): Promise<KeyProvider> {
    return this.#send('POST', api('native-key-providers', name, 'backup', 'confirm'), body)
  }
  /** Sends a backup that is to be restored; it waits for its password. */
  sendBackup(backup: Secret): Promise<WaitingRestore> {
    return this.#rest.call({ method: 'POST', path: api('native-key-provider-restores'), content: backup })
  }
  restoreBackup(id: string, password: Secret): Promise<KeyProvider> {
    return this.#rest.call({ method: 'POST', path: api('native-key-provider-restores', id), content: password })
  }
  /** Gives a native provider a new derivation key. */
  rotateKeyProvider(name: string): Promise<KeyProvider> {
    return this.#send('POST', api('native-key-providers', name, 'generations'))
  }
  /** Destroys an earlier derivation key; refused while keys of it are not destroyed. */
  destroyGeneration(name: string, generation: number): Promise<KeyProvider> {
    return this.#send('DELETE', api('native-key-providers', name, 'generations', String(generation)))
  }
  keys(query: { provider?: string; offset?: number; limit?: number } = {}): Promise<Static<typeof KeyList>> {
    return this.#rest.call({ method: 'GET', path: api('keys'), query })
  }
  /** All that needs a key provider. */
  providerReferences(name: string): Promise<Static<typeof ProviderReferenceList>> {
    return this.#rest.call({ method: 'GET', path: api('key-providers', name, 'references') })
  }
  /** Moves everything to another key provider. */
  migrateProvider(name: string, body: MigrateProvider): Promise<TaskStarted> {
    return this.#rest.call({ method: 'POST', path: api('key-providers', name, 'migrate'), json: body })
  }
  campaigns(): Promise<Static<typeof CampaignList>> {
    return this.#rest.call({ method: 'GET', path: api('campaigns') })
  }
  campaign(name: string): Promise<Campaign> {
    return this.#rest.call({ method: 'GET', path: api('campaigns', name) })
  }
  createCampaign(body: CreateCampaign): Promise<Campaign> {
    return this.#rest.call({ method: 'POST', path: api('campaigns'), json: body })
  }
  /** Which VMs a campaign would rekey now. */
  previewCampaign(plan: CampaignPlan): Promise<CampaignPreview> {
    return this.#rest.call({ method: 'POST', path: api('campaign-previews'), json: { plan } })
  }
  /** Begins a run now, begins nothing more, or goes on. */
  steerCampaign(name: string, verb: 'start' | 'pause' | 'resume'): Promise<Campaign> {
    return this.#rest.call({ method: 'POST', path: api('campaigns', name, verb) })
  }
  cancelCampaign(name: string, body: CancelCampaign): Promise<Campaign> {
    return this.#rest.call({ method: 'POST', path: api('campaigns', name, 'cancel'), json: body })
  }
  async removeCampaign(name: string): Promise<void> {
    await this.#rest.call({ method: 'DELETE', path: api('campaigns', name) })
  }
  /** What became of each VM of the last run, or of run number `run`. */
  campaignReport(name: string, run?: number): Promise<CampaignReport> {
    return this.#rest.call({ method: 'GET', path: api('campaigns', name, 'report'), query: { run } })
  }
  /** KEKs in use with what reading them back found; `bad`: only those that are not as they should be. */
  keyHealth(query: { provider?: string; bad?: boolean } = {}): Promise<Static<typeof KeyHealthList>> {
    return this.#rest.call({ method: 'GET', path: api('key-health'), query })
  }
  verifyKey(provider: string, keyId: string): Promise<UsedKeyHealth> {
    return this.#send('POST', api('keys', provider, keyId, 'verify'))
  }
  verifyKeys(body: VerifyKeys): Promise<TaskStarted> {
    return this.#send('POST', api('key-health', 'verify'), body)
  }
  key(provider: string, keyId: string): Promise<Key> {
    return this.#get(api('keys', provider, keyId))
  }
  keyUsage(query: { provider?: string; keyId?: string; vm?: string; host?: string } = {}): Promise<KeyUsageGraph> {
    return this.#rest.call({ method: 'GET', path: api('key-usage'), query })
  }
  /** The open ones; with `all` the others too. */
  keyOrders(query: { all?: boolean } = {}): Promise<Static<typeof KeyOrderList>> {
    return this.#rest.call({ method: 'GET', path: api('key-orders'), query })
  }
  destroyKey(provider: string, keyId: string, body: DestroyKey): Promise<KeyRequested> {
    return this.#send('POST', api('keys', provider, keyId, 'destroy'), body)
  }
  revokeKey(provider: string, keyId: string, body: RevokeKey): Promise<KeyRequested> {
    return this.#send('POST', api('keys', provider, keyId, 'revoke'), body)
  }
  restoreKey(provider: string, keyId: string): Promise<KeyOrder> {
    return this.#send('POST', api('keys', provider, keyId, 'restore'))
  }
  keyOrphans(query: { provider?: string } = {}): Promise<KeyOrphanList> {
    return this.#rest.call({ method: 'GET', path: api('key-orphans'), query, timeoutMs: 600_000 })
  }
  retiredKeys(query: { provider?: string; olderThanDays?: number } = {}): Promise<Static<typeof RetiredKeyList>> {
    return this.#rest.call({ method: 'GET', path: api('retired-keys'), query })
  }
  destroyRetiredKeys(body: DestroyRetiredKeys): Promise<DestroyedRetiredKeys> {
    return this.#send('POST', api('retired-keys', 'destroy'), body)
  }

  /** Those that wait; with `all` the others too. */
  approvals(query: { all?: boolean } = {}): Promise<Static<typeof ApprovalList>> {
    return this.#rest.call({ method: 'GET', path: api('approvals'), query })
  }
  approval(id: string): Promise<Approval> {
    return this.#get(api('approvals', id))
  }
  approve(id: string, body: ApproveRequest): Promise<Approval> {
    return this.#send('POST', api('approvals', id, 'approve'), body)
  }
  rejectApproval(id: string, body: CloseRequest): Promise<Approval> {
    return this.#send('POST', api('approvals', id, 'reject'), body)
  }
  withdrawApproval(id: string, body: CloseRequest): Promise<Approval> {
    return this.#send('POST', api('approvals', id, 'withdraw'), body)
  }

  vms(): Promise<Static<typeof VmList>> {
    return this.#get(api('vms'))
  }
  vm(nameOrId: string): Promise<Vm> {
    return this.#get(api('vms', nameOrId))
  }
  createVm(body: CreateVm): Promise<TaskStarted> {
    return this.#send('POST', api('vms'), body)
  }
  deleteVm(nameOrId: string): Promise<TaskStarted> {
    return this.#send('DELETE', api('vms', nameOrId))
  }
  changePolicy(nameOrId: string, body: ChangePolicy): Promise<TaskStarted> {
    return this.#send('POST', api('vms', nameOrId, 'policy'), body)
  }
  rekeyVm(nameOrId: string, body: RekeyVm): Promise<TaskStarted> {
    return this.#send('POST', api('vms', nameOrId, 'rekey'), body)
  }
  cloneVm(nameOrId: string, body: CloneVm): Promise<TaskStarted> {
    return this.#send('POST', api('vms', nameOrId, 'clone'), body)
  }
  /** Fetches the VM's keys again and tries to open it; answers with the VM as it is then. */
  unlockVms(body: UnlockVms): Promise<TaskStarted> {
    return this.#send('POST', api('vms-unlock'), body)
  }
  unlockVm(nameOrId: string): Promise<Vm> {
    return this.#send('POST', api('vms', nameOrId, 'unlock'))
  }
  /** Asks for it; a second user approves it. */
  eraseVm(nameOrId: string, body: EraseVm): Promise<Approval> {
    return this.#send('POST', api('vms', nameOrId, 'erase'), body)
  }
  erasures(): Promise<Static<typeof ErasureList>> {
    return this.#get(api('erasures'))
  }
  /** By its ID, or by the VM's ID or name: then the newest. */
  erasure(id: string): Promise<Erasure> {
    return this.#get(api('erasures', id))
  }
  disks(vm: string): Promise<Static<typeof DiskList>> {
    return this.#get(api('vms', vm, 'disks'))
  }
  addDisk(vm: string, body: AddDisk): Promise<TaskStarted> {
    return this.#send('POST', api('vms', vm, 'disks'), body)
  }
  importDisk(vm: string, body: ImportDisk): Promise<TaskStarted> {
    return this.#send('POST', api('vms', vm, 'disks', 'import'), body)
  }
  /** A disk's image, plain, as it comes. */
  exportDisk(vm: string, number: number, body: ExportDisk, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: api('vms', vm, 'disks', number, 'export'),
      json: body,
      timeoutMs: 600_000,
      ...(signal === undefined ? {} : { signal }),
    })
  }
  /** A backup of an encrypted disk's LUKS header, key record included, as it comes. */
  backupHeader(vm: string, number: number, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: api('vms', vm, 'disks', number, 'header-backup'),
      ...(signal === undefined ? {} : { signal }),
    })
  }
  restoreHeader(vm: string, number: number, body: RestoreHeader): Promise<TaskStarted> {
    return this.#send('POST', api('vms', vm, 'disks', number, 'header-restore'), body)
  }
  importVolume(vm: string, body: ImportVolume): Promise<TaskStarted> {
    return this.#send('POST', api('vms', vm, 'disks', 'import-volume'), body)
  }
  /** Sends the passphrase of the LUKS volume that a task imports, as soon as its host waits for it; before the volume itself. */
  async sendPassphrase(task: string, passphrase: Secret, signal?: AbortSignal): Promise<void> {
    await this.#rest.call({
      method: 'PUT',
      path: api('tasks', task, 'passphrase'),
      content: passphrase,
      timeoutMs: 600_000,
      ...(signal === undefined ? {} : { signal }),
    })
  }
  /** Sends the image that an import waits for; answers when it is on the host's disk. */
  sendContent(task: string, content: Readable, contentBytes: number, signal?: AbortSignal): Promise<Task> {
    return this.#rest.call({
      method: 'PUT',
      path: api('tasks', task, 'content'),
      content,
      contentBytes,
      // What comes after the last byte, such as encrypting and reading back, takes as long as the image is large.
      timeoutMs: 0,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  tasks(query: { vm?: string; state?: string; limit?: number } = {}): Promise<Static<typeof TaskList>> {
    return this.#rest.call({ method: 'GET', path: api('tasks'), query })
  }
  task(id: string): Promise<Task> {
    return this.#get(api('tasks', id))
  }
  cancelTask(id: string): Promise<Task> {
    return this.#send('POST', api('tasks', id, 'cancel'))
  }
  pauseTask(id: string): Promise<Task> {
    return this.#send('POST', api('tasks', id, 'pause'))
  }
  resumeTask(id: string): Promise<Task> {
    return this.#send('POST', api('tasks', id, 'resume'))
  }
  limitTask(id: string, body: TaskSpeed): Promise<Task> {
    return this.#send('PUT', api('tasks', id, 'speed'), body)
  }

  /** Newest first, unless `after` is given: then the oldest first that came after that event. */
  events(query: EventQuery = {}): Promise<Static<typeof EventList>> {
    return this.#rest.call({ method: 'GET', path: api('events'), query: { ...query } })
  }

  /** Events as they happen (server-sent events). */
  async *eventStream(signal: AbortSignal): AsyncGenerator<Event, void, undefined> {
    for await (const line of this.#rest.lines({ method: 'GET', path: api('events', 'stream'), signal })) {
      // Each `data:` line is one event, written by the schema `Event`.
      if (line.startsWith('data:')) yield JSON.parse(line.slice('data:'.length)) as Event
    }
  }

  /** The folders of a datastore that hold VMs. */
  datastoreFolders(name: string): Promise<DatastoreContent> {
    return this.#get(api('datastores', name, 'folders'))
  }
  registerVm(body: RegisterVm): Promise<Vm> {
    return this.#send('POST', api('vms', 'register'), body)
  }
  /** The VM is forgotten; its files and keys stay. */
  async unregisterVm(nameOrId: string): Promise<void> {
    await this.#send('POST', api('vms', nameOrId, 'unregister'))
  }
  reconciliation(): Promise<Reconciliation> {
    return this.#get(api('reconciliation'))
  }
  vmReconciliation(nameOrId: string): Promise<VmComparison> {
    return this.#get(api('vms', nameOrId, 'reconciliation'))
  }
  /** Takes over what the datastore says of a VM, in the generation that was shown. */
  acceptVm(nameOrId: string, body: AcceptVm): Promise<Vm> {
    return this.#send('POST', api('vms', nameOrId, 'reconciliation'), body)
  }

  /** Metrics in the text format of Prometheus, line by line. */
  metrics(): AsyncGenerator<string, void, undefined> {
    return this.#rest.lines({ method: 'GET', path: '/metrics' })
  }

  system(): Promise<System> {
    return this.#get(api('system'))
  }
  /** After a restore: all was looked at, keys may be destroyed again. */
  settle(): Promise<System> {
    return this.#send('POST', api('system', 'settle'))
  }
  /** A backup of the control plane, as it comes. */
  backUp(signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: api('system', 'backup'),
      timeoutMs: 600_000,
      ...(signal === undefined ? {} : { signal }),
    })
  }
  backupSchedule(): Promise<BackupSchedule> {
    return this.#get(api('system', 'backup-schedule'))
  }
  setBackupSchedule(body: SetBackupSchedule): Promise<BackupSchedule> {
    return this.#send('PUT', api('system', 'backup-schedule'), body)
  }
  async clearBackupSchedule(): Promise<void> {
    await this.#send('DELETE', api('system', 'backup-schedule'))
  }

  notifications(): Promise<Static<typeof NotificationTargetList>> {
    return this.#get(api('notifications'))
  }
  notification(name: string): Promise<NotificationTarget> {
    return this.#get(api('notifications', name))
  }
  /** Nothing is sent to a target that needs a secret before it has one: `setNotificationSecret`. */
  createNotification(body: CreateNotification): Promise<NotificationTarget> {
    return this.#send('POST', api('notifications'), body)
  }
  async setNotificationSecret(name: string, secret: Secret): Promise<void> {
    await this.#rest.call({ method: 'PUT', path: api('notifications', name, 'secret'), content: secret })
  }
  async testNotification(name: string): Promise<void> {
    await this.#send('POST', api('notifications', name, 'test'))
  }
  async deleteNotification(name: string): Promise<void> {
    await this.#send('DELETE', api('notifications', name))
  }

  /** Red ones first. */
  alarms(query: AlarmQuery = {}): Promise<Static<typeof AlarmList>> {
    return this.#rest.call({ method: 'GET', path: api('alarms'), query: { ...query } })
  }
  alarm(id: string): Promise<Alarm> {
    return this.#get(api('alarms', id))
  }
  acknowledgeAlarm(id: string): Promise<Alarm> {
    return this.#send('POST', api('alarms', id, 'acknowledge'))
  }
  clearAlarm(id: string): Promise<Alarm> {
    return this.#send('POST', api('alarms', id, 'clear'))
  }
  alarmDefinitions(): Promise<Static<typeof AlarmDefinitionList>> {
    return this.#get(api('alarm-definitions'))
  }
  changeAlarmDefinition(name: string, body: ChangeAlarmDefinition): Promise<AlarmDefinition> {
    return this.#send('PATCH', api('alarm-definitions', name), body)
  }
  retention(): Promise<Retention> {
    return this.#get(api('retention'))
  }
  setRetention(body: Retention): Promise<Retention> {
    return this.#send('PUT', api('retention'), body)
  }
  pruneEvents(before: string): Promise<PrunedEvents> {
    return this.#send('POST', api('events', 'prune'), { before })
  }

  audit(query: AuditQuery = {}): Promise<Static<typeof AuditList>> {
    return this.#rest.call({ method: 'GET', path: api('audit'), query: { ...query } })
  }
  /** Walks along the whole chain, which takes as long as it is long. */
  checkAudit(): Promise<AuditCheck> {
    return this.#rest.call({ method: 'GET', path: api('audit', 'check'), timeoutMs: 600_000 })
  }
  /** The lines of an export: an `AuditExportStart`, the records, an `AuditExportEnd`; without that it is not whole. */
  auditExport(signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    return this.#rest.lines({ method: 'GET', path: api('audit', 'export'), signal })
  }
  pruneAudit(body: PruneAudit): Promise<AuditCheckpoint> {
    return this.#send('POST', api('audit', 'prune'), body)
  }

  /** The lines of a coverage report (`CoverageReport` where it is JSON). */
  coverage(format: CoverageFormat, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
    const call: Call = { method: 'GET', path: api('reports', 'coverage'), query: { format } }
    return this.#rest.lines(signal === undefined ? call : { ...call, signal })
  }

  #get<Answer>(path: string): Promise<Answer> {
    return this.#rest.call({ method: 'GET', path })
  }

  #send<Answer>(method: Call['method'], path: string, json?: unknown): Promise<Answer> {
    return this.#rest.call({ method, path, ...(json === undefined ? {} : { json }) })
  }
}
