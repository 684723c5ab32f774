import { controlPlaneUri, epochUri, hostUri } from '@cryptvisor/host-agent-api'
import type { Barrier } from '@cryptvisor/key-store'
import { CertificateAuthority, type Identity, readCertificate, signStatement } from '@cryptvisor/pki'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { readInstallation } from './system/installation.ts'

const authorityName = 'Cryptvisor control plane CA'
const authorityValidDays = 3650
const hostValidDays = 825
const kmipClientValidDays = 365
/** Of a key that signs one document and is wiped; the certificate is to be checked for as long as anybody asks. */
const signerValidDays = 3650
/** Of what the control plane shows of itself; made anew at each start and at two thirds of it, kept in memory only. */
export const ownValidDays = 90

/** Of the authority's key, in the table `sealed`. */
export const sealedName = 'authority/private-key'

/** The control plane's small CA (DESIGN.md, section 5): who we are to users and agents, and who the hosts are to us. */
export class Certificates {
  readonly #authority: CertificateAuthority
  /** Of this control plane; what it shows to agents names it. */
  readonly epoch: number

  private constructor(authority: CertificateAuthority, epoch: number) {
    this.#authority = authority
    this.epoch = epoch
  }

  /** Makes a new authority and keeps its key sealed in the database, bound to its certificate. */
  static async create(database: Kysely<Schema>, barrier: Barrier, clock: Clock): Promise<Certificates> {
    const made = await CertificateAuthority.create(authorityName, authorityValidDays, () => new Date(clock()))
    using privateKey = made.privateKey
    const value = barrier.seal(contextOf(made.authority.certificate), privateKey)
    await database.insertInto('sealed').values({ name: sealedName, value }).execute()
    return new Certificates(made.authority, (await readInstallation(database)).epoch)
  }

  /**
   * Takes the authority up again. Throws when its key is not there, is not under this root key, or belongs to another
   * certificate than `certificate`.
   */
  static async load(
    database: Kysely<Schema>,
    barrier: Barrier,
    certificate: string,
    clock: Clock,
  ): Promise<Certificates> {
    const { value } = await database
      .selectFrom('sealed')
      .select('value')
      .where('name', '=', sealedName)
      .executeTakeFirstOrThrow(() => new Error('the database has no key for the certificate authority'))
    using privateKey: Secret = barrier.unseal(contextOf(certificate), value)
    const authority = await CertificateAuthority.load(certificate, privateKey, () => new Date(clock()))
    return new Certificates(authority, (await readInstallation(database)).epoch)
  }

  /** The authority's certificate, PEM: what users, agents and we trust. */
  get ca(): string {
    return this.#authority.certificate
  }

  /** SHA-256 of the authority's certificate, 64 hex digits. */
  get caFingerprint256(): string {
    return readCertificate(this.ca).fingerprint256
  }

  /** Signs with the authority's key, so that whoever has its certificate can check it. */
  sign(bytes: Uint8Array): Promise<Uint8Array> {
    return this.#authority.signBytes(bytes)
  }

  /** An identity for a listener that answers under `hosts`; its chain has the authority, so that it can be pinned. */
  async issueServer(hosts: readonly string[]): Promise<Identity> {
    const identity = await this.#authority.issue({
      commonName: 'Cryptvisor control plane',
      usages: ['server'],
      hosts,
      uris: [controlPlaneUri],
      validDays: ownValidDays,
    })
    return { ...identity, certificate: identity.certificate + this.ca }
  }

  /** What we show to agents. */
  issueClient(): Promise<Identity> {
    return this.#authority.issue({
      commonName: 'Cryptvisor control plane',
      usages: ['client'],
      uris: [controlPlaneUri, epochUri(this.epoch)],
      validDays: ownValidDays,
    })
  }

  /** What we show to key servers that trust the authority. Throws `PkiError` `bad-name`. */
  issueKmipClient(commonName: string): Promise<Identity> {
    return this.#authority.issue({
      commonName,
      usages: ['client'],
      uris: [controlPlaneUri],
      validDays: kmipClientValidDays,
    })
  }

  /** Signs a JSON value, under a key that is made for it and wiped (`signStatement`). */
  async signDocument(type: string, payload: object): Promise<string> {
    using signer = await this.#authority.issue({
      commonName: 'Cryptvisor document signer',
      usages: ['document-signing'],
      validDays: signerValidDays,
    })
    return signStatement(signer, this.ca, type, payload)
  }

  /** A certificate for a host's own key, for its REST under `address` and for its sessions. Throws `PkiError`. */
  signHost(
    csr: string,
    host: { readonly id: string; readonly name: string; readonly address: string },
  ): Promise<string> {
    return this.#authority.signRequest(csr, {
      // RFC 5280, ub-common-name: 64 characters; a host's name may have more.
      commonName: Array.from(host.name).slice(0, 64).join(''),
      usages: ['server', 'client'],
      hosts: [host.address],
      uris: [hostUri(host.id)],
      validDays: hostValidDays,
    })
  }
}

/** What the authority's key is bound to. */
export function contextOf(certificate: string) {
  return { type: 'certificate authority', certificate: readCertificate(certificate).fingerprint256 }
}
