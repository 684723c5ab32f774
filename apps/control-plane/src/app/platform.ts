import type { Barrier } from '@cryptvisor/key-store'
import type { Identity } from '@cryptvisor/pki'
import type { LogRing } from '@cryptvisor/support-bundle'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { AlarmBook } from './alarms/alarm-book.ts'
import { alarmDefinitions } from './alarms/alarm-definitions.ts'
import { Alarms } from './alarms/alarms.ts'
import { certificateAlarms } from './alarms/certificate-alarms.ts'
import { Retention } from './alarms/retention.ts'
import { AuditLog } from './audit/audit-log.ts'
import type { AuditSigner } from './audit/audit-signer.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import { AuditWatch } from './audit/audit-watch.ts'
import { Origins } from './audit/origins.ts'
import { Bearers } from './bearers.ts'
import { CertificateInventory } from './certificate-inventory.ts'
import type { Certificates } from './certificates.ts'
import type { Clock } from './clock.ts'
import { Clusters } from './clusters.ts'
import { Datastores } from './datastores.ts'
import { Enrolment } from './enrolment.ts'
import { EventLog } from './events.ts'
import { Groups } from './groups.ts'
import { HostCertificates } from './host-certificates.ts'
import { HostSessions } from './host-sessions.ts'
import { Hosts } from './hosts.ts'
import { Admission } from './identity/admission.ts'
import { GroupMappings } from './identity/group-mappings.ts'
import { IdentitySources } from './identity/identity-sources.ts'
import { DirectoryPart } from './identity/ldap/directory-part.ts'
import { DeviceLogins } from './identity/oidc/device-logins.ts'
import { OidcLogins } from './identity/oidc/oidc-logins.ts'
import { PasswordLogins } from './identity/password-logins.ts'
import { SourceTrials } from './identity/source-trials.ts'
import { Folders } from './inventory/folders.ts'
import { Objects } from './inventory/objects.ts'
import { ClientRenewal } from './key-providers/client-renewal.ts'
import { ClientTrusts } from './key-providers/client-trust.ts'
import { NativeProviders } from './key-providers/native/native-providers.ts'
import { NativeRestores } from './key-providers/native/native-restores.ts'
import { ProbeTimer } from './key-providers/probe-timer.ts'
import { DefaultProviders } from './key-providers/provider-defaults.ts'
import { ProviderDetails } from './key-providers/provider-detail.ts'
import { ProviderHealth } from './key-providers/provider-health.ts'
import { ProviderServers } from './key-providers/provider-servers.ts'
import type { Log } from './log.ts'
import { Logins } from './login.ts'
import { LoginFailures } from './login-failures.ts'
import { Delivery } from './notifications/delivery.ts'
import { Notifications } from './notifications/notifications.ts'
import { PendingClientKeys } from './pending-client-keys.ts'
import { Permissions } from './permissions/permissions.ts'
import { Scopes } from './permissions/scope.ts'
import { Policies } from './policies.ts'
import type { HostObserver } from './ports.ts'
import { ProviderRegistry } from './provider-registry.ts'
import { ProviderStore } from './provider-store.ts'
import { RequestKeys } from './request-keys.ts'
import { Roles } from './roles.ts'
import { SecondFactors } from './second-factor/second-factors.ts'
import type { Settings } from './settings.ts'
import { SystemBundles } from './support/system-bundles.ts'
import { Backups } from './system/backups.ts'
import { Metrics } from './system/metrics.ts'
import { Readiness } from './system/readiness.ts'
import { SystemInfo } from './system/system.ts'
import { Tokens } from './tokens.ts'
import { UserSessions } from './user-sessions.ts'
import { Users } from './users.ts'

/** What the platform is built from. */
export interface PlatformParts {
  readonly database: Kysely<Schema>
  readonly barrier: Barrier
  readonly auditSigner: AuditSigner
  readonly certificates: Certificates
  /** What agents are shown first; the platform disposes of it. */
  readonly agentIdentity: Identity
  /** Where agents find the listener for hosts. */
  readonly hostsUrl: string
  /** The data folder. */
  readonly folder: string
  readonly version: string
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
  /** What the log was told of late, for support bundles. */
  readonly logRing: LogRing
}

/** Everything but the work: users, hosts, inventory, key providers, events. Tell it of the work before it listens. */
export class Platform implements AsyncDisposable {
  readonly certificates: Certificates
  readonly events: EventLog
  readonly origins = new Origins()
  readonly audit: AuditTrail
  readonly auditLog: AuditLog
  readonly auditWatch: AuditWatch
  readonly alarmBook: AlarmBook
  readonly alarms: Alarms
  readonly retention: Retention
  readonly notifications: Notifications
  readonly delivery: Delivery
  readonly clock: Clock
  readonly bearers: Bearers
  readonly secondFactors: SecondFactors
  readonly logins: Logins
  readonly identitySources: IdentitySources
  readonly groupMappings: GroupMappings
  readonly oidcLogins: OidcLogins
  readonly deviceLogins: DeviceLogins
  readonly directories: DirectoryPart
  readonly sourceTrials: SourceTrials
  readonly passwordLogins: PasswordLogins
  readonly users: Users
  readonly roles: Roles
  readonly tokens: Tokens
  readonly userSessions: UserSessions
  readonly groups: Groups
  readonly permissions: Permissions
  readonly objects: Objects
  readonly folders: Folders
  readonly scopes: Scopes
  readonly clusters: Clusters
  readonly datastores: Datastores
  readonly policies: Policies
  readonly sessions: HostSessions
  readonly hosts: Hosts
  readonly enrolment: Enrolment
  readonly hostCertificates: HostCertificates
  readonly certificateInventory: CertificateInventory
  readonly pendingClientKeys: PendingClientKeys
  readonly keyProviders: ProviderRegistry
  readonly providerHealth: ProviderHealth
  readonly defaultProviders: DefaultProviders
  readonly providerServers: ProviderServers
  readonly clientTrusts: ClientTrusts
  readonly providerDetails: ProviderDetails
  readonly clientRenewal: ClientRenewal
  readonly probeTimer: ProbeTimer
  /** Of this control plane. */
  readonly epoch: number
  readonly backups: Backups
  readonly readiness: Readiness
  readonly system: SystemInfo
  readonly bundles: SystemBundles
  readonly metrics: Metrics
  readonly requestKeys: RequestKeys
  readonly database: Kysely<Schema>
  readonly nativeProviders: NativeProviders
  readonly nativeRestores: NativeRestores
  #observer: HostObserver | null = null
  #isStarted = false

  constructor(parts: PlatformParts) {
    const { database, barrier, auditSigner, certificates, agentIdentity, hostsUrl, settings, clock, log } = parts
    const observer = () => {
      if (this.#observer === null) throw new Error('the platform was not told of the work')
      return this.#observer
    }
    this.database = database
    this.certificates = certificates
    this.requestKeys = new RequestKeys(database, clock)
    this.clock = clock
    this.audit = new AuditTrail(database, auditSigner, clock, this.origins.now)
    const definitions = [...alarmDefinitions, ...certificateAlarms(certificates.ca)]
    this.alarmBook = new AlarmBook(definitions, clock)
    this.events = new EventLog(database, clock, [this.audit, this.alarmBook])
    this.alarms = new Alarms(database, this.events, this.alarmBook, definitions, clock)
    this.retention = new Retention(database, this.events, clock)
    const hostName = new URL(hostsUrl).hostname
    this.notifications = new Notifications(database, this.events, barrier, hostName, clock)
    this.auditLog = new AuditLog(database, auditSigner, this.events, clock)
    this.delivery = new Delivery({
      database,
      events: this.events,
      audit: this.auditLog,
      notifications: this.notifications,
      hostName,
      clock,
      random: Math.random,
      log,
    })
    this.auditWatch = new AuditWatch(this.auditLog, this.events, log)
    this.bearers = new Bearers(database, clock, settings.sessions)
    this.secondFactors = new SecondFactors(database, this.events, barrier, clock)
    const failures = new LoginFailures(this.events, clock)
    this.logins = new Logins(database, this.events, this.bearers, this.secondFactors, failures, clock)
    this.identitySources = new IdentitySources(database, this.events, barrier, clock)
    this.groupMappings = new GroupMappings(this.events, clock)
    const { events: allEvents, bearers, secondFactors, identitySources: sources } = this
    const admission = new Admission({ events: allEvents, bearers, secondFactors, failures, clock })
    const loginParts = { database, sources, admission, failures, clock }
    this.oidcLogins = new OidcLogins(loginParts)
    this.deviceLogins = new DeviceLogins(loginParts)
    this.directories = new DirectoryPart({ database, events: allEvents, sources, admission, failures, clock, log })
    this.sourceTrials = new SourceTrials(database, sources, this.directories.tests, clock)
    this.passwordLogins = new PasswordLogins(database, this.logins, this.directories.logins)
    this.users = new Users(database, this.events, clock)
    this.roles = new Roles(database, this.events, clock)
    this.tokens = new Tokens(database, this.events, this.bearers, clock)
    this.userSessions = new UserSessions(database, this.events, clock, settings.sessions)
    this.groups = new Groups(database, this.events, clock)
    this.permissions = new Permissions(database, this.events, clock)
    this.objects = new Objects(database)
    this.folders = new Folders(database, this.events, clock)
    this.scopes = new Scopes(database)
    this.clusters = new Clusters(database)
    this.datastores = new Datastores(database)
    this.policies = new Policies(database, this.events, observer, clock)
    this.sessions = new HostSessions(database, this.events, certificates, agentIdentity, observer, clock, log)
    this.hosts = new Hosts(database, this.sessions, observer)
    this.hostCertificates = new HostCertificates(database, certificates, this.sessions)
    this.certificateInventory = new CertificateInventory(database, certificates.ca, clock)
    this.enrolment = new Enrolment(database, this.events, certificates, this.sessions, hostsUrl, clock)
    const store = new ProviderStore(barrier, settings.kmip)
    this.pendingClientKeys = new PendingClientKeys(database, barrier, clock)
    this.keyProviders = new ProviderRegistry(
      database,
      this.events,
      store,
      this.pendingClientKeys,
      observer,
      clock,
      (name) => this.probeTimer.wake(name),
    )
    const changed = (name: string) => this.keyProviders.changed(name)
    this.nativeProviders = new NativeProviders(database, this.events, barrier, clock, changed)
    this.nativeRestores = new NativeRestores(database, this.events, barrier, clock, changed)
    this.providerHealth = new ProviderHealth(
      database,
      this.events,
      this.keyProviders,
      clock,
      settings.kmip.connectTimeoutMs,
    )
    this.defaultProviders = new DefaultProviders(database, this.events, this.keyProviders, this.providerHealth)
    this.providerServers = new ProviderServers(this.events, store, this.keyProviders, settings.kmip.connectTimeoutMs)
    this.clientTrusts = new ClientTrusts({
      database,
      events: this.events,
      store,
      pendingKeys: this.pendingClientKeys,
      certificates,
      registry: this.keyProviders,
      health: this.providerHealth,
      clock,
    })
    this.providerDetails = new ProviderDetails(database, this.clientTrusts, this.defaultProviders)
    this.clientRenewal = new ClientRenewal(database, this.events, this.clientTrusts, clock, log)
    this.probeTimer = new ProbeTimer(this.providerHealth, settings.kmip.probeIntervalMs, clock, Math.random, log)
    const { folder, version } = parts
    this.epoch = certificates.epoch
    const sign = (bytes: Uint8Array) => certificates.sign(bytes)
    const backup = { folder, productVersion: version, clock, sign, ca: certificates.ca }
    this.backups = new Backups(database, this.events, backup, log)
    const supersededBy = () => this.sessions.supersededBy
    this.readiness = new Readiness({ database, barrier, isStarted: () => this.#isStarted, supersededBy })
    const { events, backups, readiness } = this
    const checks = () => readiness.checks()
    const connectedCount = () => this.sessions.count
    this.metrics = new Metrics({ database, clock, version, ca: certificates.ca, connectedCount, checks })
    const { caFingerprint256 } = certificates
    this.system = new SystemInfo({
      database,
      events,
      backups,
      readiness,
      version,
      caFingerprint256,
      startedAt: clock(),
    })
    const { system, metrics, auditLog: trail, certificateInventory, sessions } = this
    this.bundles = new SystemBundles({
      ...{ database, events, system, metrics, audit: trail, certificates: certificateInventory },
      ...{ log: parts.logRing, folder, version, clock, isConnected: (hostId) => sessions.get(hostId) !== null },
    })
  }

  /** Says who has to be told of hosts that come and go. */
  observe(observer: HostObserver): void {
    this.#observer = observer
  }

  /** What an earlier run left was taken up. */
  started(): void {
    this.#isStarted = true
  }

  /** Ends all sessions of hosts and closes all key providers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.metrics[Symbol.dispose]()
    this.probeTimer.stop()
    await this.sessions.close()
    await this.keyProviders[Symbol.asyncDispose]()
  }
}
