import type { CertificateEntry } from '@cryptvisor/control-plane-api'
import { readCertificate } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { type Clock, timeText } from './clock.ts'
import { certificatesOfProviders } from './key-providers/provider-certificates.ts'

const dayMs = 86_400_000

/** What our two servers show, PEM. */
interface ShownCertificates {
  readonly users: { readonly certificate: string }
  readonly hosts: { readonly certificate: string }
}

/** All certificates that anything here depends on, with their ends, asking nobody. */
export class CertificateInventory {
  readonly #database: Kysely<Schema>
  readonly #ca: string
  readonly #clock: Clock
  #shown: ShownCertificates | null = null

  constructor(database: Kysely<Schema>, ca: string, clock: Clock) {
    this.#database = database
    this.#ca = ca
    this.#clock = clock
  }

  /** Says what our servers show from now on. */
  show(shown: ShownCertificates): void {
    this.#shown = shown
  }

  /** Those that end first come first. */
  async list(): Promise<CertificateEntry[]> {
    const authority = readCertificate(this.#ca)
    const hosts = await this.#database
      .selectFrom('host')
      .select(['name', 'certificate_serial', 'certificate_expires_at', 'decommissioned_at'])
      .where('decommissioned_at', 'is', null)
      .execute()
    const found = [
      this.#entry('authority', 'the control plane’s own CA', authority.subject, authority.notAfter.getTime(), false),
      ...(this.#shown === null
        ? []
        : [this.#ofServer('users', this.#shown.users), this.#ofServer('hosts', this.#shown.hosts)]),
      ...hosts.map((host) =>
        this.#entry('host', `host ${host.name}`, `CN=${host.name}`, host.certificate_expires_at, true),
      ),
      ...(await certificatesOfProviders(this.#database)).map((each) =>
        this.#entry(
          each.kind === 'client' ? 'provider-client' : 'key-server',
          each.kind === 'client'
            ? `shown to key provider ${each.provider}`
            : `key server ${each.server} of key provider ${each.provider}`,
          each.subject,
          each.notAfter,
          each.renewsItself,
        ),
      ),
    ]
    return found.toSorted((a, b) => (a.notAfter < b.notAfter ? -1 : 1))
  }

  /** The first certificate in PEM is the server's own. */
  #ofServer(who: 'users' | 'hosts', { certificate }: { readonly certificate: string }): CertificateEntry {
    const { subject, notAfter } = readCertificate(certificate)
    return this.#entry('control-plane', `the control plane’s listener for ${who}`, subject, notAfter.getTime(), true)
  }

  #entry(
    kind: CertificateEntry['kind'],
    what: string,
    subject: string,
    notAfter: number,
    renewsItself: boolean,
  ): CertificateEntry {
    const daysLeft = Math.floor((notAfter - this.#clock()) / dayMs)
    const state = daysLeft < 0 ? 'expired' : daysLeft < 7 ? 'red' : daysLeft < 60 ? 'yellow' : 'green'
    return { kind, what, subject, notAfter: timeText(notAfter), daysLeft, state, renewsItself }
  }
}
