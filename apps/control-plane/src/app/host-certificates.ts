import { type EnrolAnswer, hostUri } from '@cryptvisor/host-agent-api'
import { type CertificateInfo, PkiError, readCertificate } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import type { HostRow, Schema } from '../database/schema.ts'
import { agentAddress } from './agent-address.ts'
import type { Certificates } from './certificates.ts'
import { timeText } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { HostConnections } from './ports.ts'
import { isRehearsed } from './rehearsal.ts'

/** Renews hosts' certificates: the host makes a new key, and its present one is good until the new one is used. */
export class HostCertificates {
  readonly #database: Kysely<Schema>
  readonly #certificates: Certificates
  readonly #connections: HostConnections

  constructor(database: Kysely<Schema>, certificates: Certificates, connections: HostConnections) {
    this.#database = database
    this.#certificates = certificates
    this.#connections = connections
  }

  /**
   * Certifies another key for the same host. Asked for again, since the answer was lost or the host died, the latest counts.
   * Throws `invalid` for the request.
   */
  async renew(host: HostRow, csr: string): Promise<EnrolAnswer> {
    const certificate = await this.#sign(host, csr)
    const { serialNumber, notAfter } = readCertificate(certificate)
    await this.#database
      .updateTable('host')
      .set({ next_certificate_serial: serialNumber, next_certificate_expires_at: notAfter.getTime() })
      .where('id', '=', host.id)
      .where('certificate_serial', '=', host.certificate_serial)
      .execute()
    return { hostId: host.id, name: host.name, certificate, ca: this.#certificates.ca }
  }

  /** Has a connected host ask for a new certificate soon. Throws `not-found`, `host-disconnected`. */
  async askToRenew(nameOrId: string): Promise<void> {
    const host = await this.#database
      .selectFrom('host')
      .select(['id', 'name'])
      .where((where) => where.or([where('name', '=', nameOrId), where('id', '=', nameOrId)]))
      .executeTakeFirst()
    if (host === undefined) throw new ControlPlaneError('not-found', `there is no host ${nameOrId}`)
    const connection = this.#connections.get(host.id)
    if (connection === null) {
      throw new ControlPlaneError(
        'host-disconnected',
        `host ${host.name} is not connected: start its agent. Where its certificate is over, enrol it again: «host enroll ${host.name} --cluster …», and on the host «host-agent enroll --again»`,
      )
    }
    if (!isRehearsed()) await connection.client.renewCertificate()
  }

  async #sign({ id, name, url }: HostRow, csr: string): Promise<string> {
    try {
      return await this.#certificates.signHost(csr, { id, name, address: agentAddress(url) })
    } catch (cause) {
      if (!(cause instanceof PkiError)) throw cause
      throw new ControlPlaneError('invalid', cause.message, { field: 'csr', cause })
    }
  }
}

/**
 * Takes the certificate that was signed to take the place of a host's present one, now that it is used: from here on it is the only
 * good one. `null`: it is no such certificate.
 */
export async function takeNextCertificate(
  events: EventLog,
  { uris, serialNumber, notBefore }: CertificateInfo,
): Promise<HostRow | null> {
  return events.transaction(async (transaction, record) => {
    const host = await transaction
      .selectFrom('host')
      .selectAll()
      .where('next_certificate_serial', '=', serialNumber)
      .executeTakeFirst()
    if (host === undefined || uris.length !== 1 || uris[0] !== hostUri(host.id)) return null
    const values = {
      certificate_serial: serialNumber,
      certificate_expires_at: host.next_certificate_expires_at ?? host.certificate_expires_at,
      certificate_begins_at: notBefore.getTime(),
      next_certificate_serial: null,
      next_certificate_expires_at: null,
    }
    await transaction.updateTable('host').set(values).where('id', '=', host.id).execute()
    const text = `${host.name} shows a new certificate, good until ${timeText(values.certificate_expires_at)}; its older one is worthless from now on`
    await record({ type: 'host.certificate-renewed', host: host.name, text })
    return { ...host, ...values }
  })
}
