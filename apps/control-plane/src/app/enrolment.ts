import { createHash, randomBytes } from 'node:crypto'
import type { CreateEnrolmentToken, NewEnrolmentToken } from '@cryptvisor/control-plane-api'
import type { EnrolAnswer, EnrolmentToken, EnrolRequest } from '@cryptvisor/host-agent-api'
import { PkiError, readCertificate } from '@cryptvisor/pki'
import type { Kysely, Transaction } from 'kysely'
import { v7, validate } from 'uuid'
import type { EnrolmentTokenRow, HostRow, Schema } from '../database/schema.ts'
import { agentAddress } from './agent-address.ts'
import type { Certificates } from './certificates.ts'
import { type Clock, timeText } from './clock.ts'
import { clusterNamed } from './clusters.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { HostSessions } from './host-sessions.ts'
import { pathOfId } from './inventory/object-paths.ts'
import { Grants } from './permissions/grants.ts'
import type { Principal } from './ports.ts'

/** How long an enrolment token works. */
export const enrolmentTokenMs = 15 * 60_000

/** On the cluster: a host that comes into it gets its keys. */
export const enrolmentPrivileges = ['Cryptographer.RegisterHost', 'Host.Inventory.AddHostToCluster'] as const

const secretSizeBytes = 32

/** How hosts come in: a token that works once and names the host, then a certificate for the host's own key. */
export class Enrolment {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #certificates: Certificates
  readonly #sessions: HostSessions
  readonly #hostsUrl: string
  readonly #clock: Clock

  /** `hostsUrl`: where agents find the listener for hosts. */
  constructor(
    database: Kysely<Schema>,
    events: EventLog,
    certificates: Certificates,
    sessions: HostSessions,
    hostsUrl: string,
    clock: Clock,
  ) {
    this.#database = database
    this.#events = events
    this.#certificates = certificates
    this.#sessions = sessions
    this.#hostsUrl = hostsUrl
    this.#clock = clock
  }

  /**
   * A token for a host of that name: a new one, or one of the cluster that lost its identity and comes again. Throws
   * `invalid` for a UUID as a name, `not-found` for the cluster, `already-exists` for a host of another one.
   */
  async createToken({ name, cluster }: CreateEnrolmentToken, by: Principal): Promise<NewEnrolmentToken> {
    if (validate(name)) {
      throw new ControlPlaneError('invalid', 'name: a UUID could be taken for the ID of another host', {
        field: 'name',
      })
    }
    const secret = randomBytes(secretSizeBytes).toString('base64url')
    const now = this.#clock()
    await this.#database.transaction().execute(async (transaction) => {
      const { id } = await clusterNamed(transaction, cluster, 'cluster')
      const host = await hostNamed(transaction, name)
      if (host !== undefined && host.cluster_id !== id) {
        throw new ControlPlaneError('already-exists', `name: there is a host ${name} in another cluster`, {
          field: 'name',
        })
      }
      await transaction.deleteFrom('enrolment_token').where('expires_at', '<=', now).execute()
      await transaction
        .insertInto('enrolment_token')
        .values({
          secret_sha256: hashOf(secret),
          host_name: name,
          cluster_id: id,
          expires_at: now + enrolmentTokenMs,
          created_by: by.name,
        })
        .execute()
    })
    const token: EnrolmentToken = {
      version: 1,
      url: this.#hostsUrl,
      caFingerprint256: this.#certificates.caFingerprint256,
      hostName: name,
      secret,
    }
    return {
      token: Buffer.from(JSON.stringify(token), 'utf8').toString('base64url'),
      expiresAt: timeText(now + enrolmentTokenMs),
    }
  }

  /**
   * Takes a host in. Of one that was in already the new certificate is the only good one from now on; its ID, keys and
   * VMs stay. Throws `not-logged-in` for a token that does not work (any more), `invalid`.
   */
  async enrol(request: EnrolRequest): Promise<EnrolAnswer> {
    const address = agentAddress(request.url)
    const hardwareUuid = request.hardwareUuid.toLowerCase()
    if (!validate(hardwareUuid)) {
      throw new ControlPlaneError('invalid', 'hardwareUuid: expected a UUID', { field: 'hardwareUuid' })
    }
    const hash = hashOf(request.secret)
    const token = await this.#usableToken(this.#database, hash)
    const known = await hostNamed(this.#database, token.host_name)
    const id = known?.id ?? v7()
    const certificate = await this.#sign(request.csr, { id, name: token.host_name, address })
    const { serialNumber, notAfter } = readCertificate(certificate)
    await this.#events.transaction(async (transaction, record) => {
      await this.#usableToken(transaction, hash)
      await transaction.deleteFrom('enrolment_token').where('secret_sha256', '=', hash).execute()
      const now = await hostNamed(transaction, token.host_name)
      if (now?.id !== known?.id || (now !== undefined && now.cluster_id !== token.cluster_id)) throw tokenUseless()
      const values = {
        cluster_id: token.cluster_id,
        url: request.url,
        hardware_uuid: hardwareUuid,
        certificate_serial: serialNumber,
        certificate_expires_at: notAfter.getTime(),
        certificate_begins_at: this.#clock(),
        next_certificate_serial: null,
        next_certificate_expires_at: null,
        // Whoever enrols a host wants it to be given the keys that its cluster uses.
        crypto_wanted_by: token.created_by,
        decommissioned_at: null,
      }
      await transaction
        .insertInto('host')
        .values({
          id,
          name: token.host_name,
          ...values,
          version: null,
          last_seen_at: null,
          crypto_supported: 0,
          host_key_provider: null,
          host_key_id: null,
          created_at: this.#clock(),
        })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
        .execute()
      const what = known === undefined ? 'was enrolled' : 'was enrolled again: its older certificate is worthless now'
      await record({
        type: 'host.enrolled',
        host: token.host_name,
        text: `${token.host_name} ${what}; it answers at ${request.url}`,
        user: token.created_by,
      })
    })
    this.#sessions.end(id, 'it was enrolled again')
    return { hostId: id, name: token.host_name, certificate, ca: this.#certificates.ca }
  }

  async #usableToken(database: Kysely<Schema>, hash: string): Promise<EnrolmentTokenRow> {
    const row = await database
      .selectFrom('enrolment_token')
      .selectAll()
      .where('secret_sha256', '=', hash)
      .where('expires_at', '>', this.#clock())
      .executeTakeFirst()
    if (row === undefined) throw tokenUseless()
    // A host gets the keys of its cluster: who lost the right to give them loses it for the tokens that they made, too.
    const maker = await Grants.read(database, row.created_by)
    const cluster = await pathOfId(database, { kind: 'cluster', id: row.cluster_id })
    if (cluster !== null && enrolmentPrivileges.every((privilege) => maker.can(privilege, cluster))) return row
    throw new ControlPlaneError(
      'not-logged-in',
      'whoever made the enrolment token may not enrol hosts any more: have a new one made',
    )
  }

  async #sign(csr: string, host: Parameters<Certificates['signHost']>[1]): Promise<string> {
    try {
      return await this.#certificates.signHost(csr, host)
    } catch (cause) {
      if (!(cause instanceof PkiError)) throw cause
      throw new ControlPlaneError('invalid', cause.message, { field: 'csr', cause })
    }
  }
}

function hostNamed(database: Kysely<Schema> | Transaction<Schema>, name: string): Promise<HostRow | undefined> {
  return database.selectFrom('host').selectAll().where('name', '=', name).executeTakeFirst()
}

function tokenUseless(): ControlPlaneError {
  return new ControlPlaneError(
    'not-logged-in',
    'the enrolment token is not known: it works once and for 15 minutes; have a new one made',
  )
}

const hashOf = (secret: string) => createHash('sha256').update(secret, 'utf8').digest('hex')
