import type {
  ClientIdentity,
  ClientTrust,
  PrepareClientTrust,
  SignedClientCertificate,
} from '@cryptvisor/control-plane-api'
import { readCertificate } from '@cryptvisor/pki'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'
import type { KeyProviderRow, Schema } from '../../database/schema.ts'
import type { Certificates } from '../certificates.ts'
import { type Clock, timeText, timeTextOrNull } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { checkPrivateKey } from '../pem.ts'
import type { PendingClientKeys } from '../pending-client-keys.ts'
import type { Principal } from '../ports.ts'
import type { ProviderRegistry } from '../provider-registry.ts'
import type { ProviderStore } from '../provider-store.ts'
import { certificateView, missingOf } from '../provider-view.ts'
import { isRehearsed } from '../rehearsal.ts'
import { clientCertificateOf } from './client-certificate.ts'
import { defaultCommonName, makeIdentity, type NewIdentity } from './new-identity.ts'
import type { ProviderHealth } from './provider-health.ts'
import { findStandardRow, identityOf } from './provider-rows.ts'
import { renewalTime } from './renewal-time.ts'

/** What trust between the control plane and key servers is set up with. */
export interface ClientTrustParts {
  readonly database: Kysely<Schema>
  readonly events: EventLog
  readonly store: ProviderStore
  readonly pendingKeys: PendingClientKeys
  readonly certificates: Certificates
  readonly registry: ProviderRegistry
  readonly health: ProviderHealth
  readonly clock: Clock
}

/**
 * How key servers come to trust us: a client certificate in one of four ways. A new one takes the place of the one that is
 * shown only when the servers take it; until then it waits, prepared, and the old one goes on.
 */
export class ClientTrusts {
  readonly #parts: ClientTrustParts

  constructor(parts: ClientTrustParts) {
    this.#parts = parts
  }

  /** Both certificates, and what is to be done next. Throws `not-found`. */
  async show(name: string): Promise<ClientTrust> {
    const row = await findStandardRow(this.#parts.database, name)
    return this.#view(row, null)
  }

  /**
   * Makes or takes a client certificate; one that was prepared before goes. It is shown to the servers at once where none
   * was before, else when they take it, or with `force`. Throws `not-found`, `invalid`.
   */
  async prepare(name: string, request: PrepareClientTrust, by: Principal): Promise<ClientTrust> {
    const { database, store, certificates, pendingKeys, clock } = this.#parts
    const { way, commonName } = request
    if ((way === 'upload') !== (request.certificate !== undefined)) {
      throw new ControlPlaneError(
        'invalid',
        way === 'upload'
          ? 'certificate: is missing; an uploaded key comes with its certificate'
          : `certificate: is made here with the way ${way}; leave it out`,
        { field: 'certificate' },
      )
    }
    const before = await findStandardRow(database, name)
    const uploaded =
      request.certificate === undefined ? null : clientCertificateOf('certificate', request.certificate, clock())
    const made =
      way === 'upload'
        ? null
        : await makeIdentity(way, commonName ?? (await this.#commonName(name)), certificates, new Date(clock()))
    using _key = made?.clientKey
    const id = await this.#parts.events.transaction(async (transaction, record) => {
      const row = await findStandardRow(transaction, before.name)
      const identity = made ?? (await takeUploaded(transaction, pendingKeys, name, uploaded ?? ''))
      using _taken = made === null ? identity.clientKey : undefined
      const prepared = await this.#insert(transaction, row, way, identity, store)
      const text = `a client certificate for key provider ${name} was prepared (${way})`
      await record({ type: 'key-provider.changed', provider: name, text, user: by.name })
      return prepared
    })
    return this.#promote(name, id, request.force === true, by)
  }

  /** Takes the certificate that the key server's CA made of the request that waits. Throws `not-found`, `invalid`. */
  async takeSigned(name: string, request: SignedClientCertificate, by: Principal): Promise<ClientTrust> {
    const { database, store, clock } = this.#parts
    await findStandardRow(database, name)
    const certificate = clientCertificateOf('certificate', request.certificate, clock())
    const id = await this.#parts.events.transaction(async (transaction, record) => {
      const row = await findStandardRow(transaction, name)
      const prepared = await identityOf(transaction, name, 'prepared')
      if (prepared === null || prepared.csr === null) {
        throw new ControlPlaneError(
          'invalid',
          `certificate: no request of key provider ${name} waits for one: make one with «key-provider trust csr ${name}»`,
          { field: 'certificate' },
        )
      }
      using clientKey = store.unseal(row, prepared)
      checkSigned(clientKey, certificate, name)
      await transaction
        .updateTable('provider_identity')
        .set({ certificate, key_sealed: store.seal(row, certificate, clientKey) })
        .where('id', '=', prepared.id)
        .execute()
      const text = `the signed client certificate for key provider ${name} was taken`
      await record({ type: 'key-provider.changed', provider: name, text, user: by.name })
      return prepared.id
    })
    return this.#promote(name, id, request.force === true, by)
  }

  /** Shows the prepared certificate to the servers from now on, when they take it, or with `force`. Throws `not-found`, `invalid`. */
  async activate(name: string, force: boolean, by: Principal): Promise<ClientTrust> {
    await findStandardRow(this.#parts.database, name)
    const prepared = await identityOf(this.#parts.database, name, 'prepared')
    if (prepared === null) {
      throw new ControlPlaneError(
        'invalid',
        `key provider ${name} has no prepared client certificate: see «key-provider trust --help»`,
      )
    }
    if (prepared.certificate === '') {
      throw new ControlPlaneError(
        'invalid',
        `the request of key provider ${name} is not signed yet: have the key server’s CA sign it, then «key-provider trust certificate ${name} FILE»`,
      )
    }
    return this.#promote(name, prepared.id, force, by)
  }

  /** Gives the prepared identity its place, unless the servers refuse it. */
  async #promote(name: string, id: string, force: boolean, by: Principal): Promise<ClientTrust> {
    const { database, events, registry } = this.#parts
    const row = await findStandardRow(database, name)
    const prepared = await identityOf(database, name, 'prepared')
    if (prepared === null || prepared.id !== id || prepared.certificate === '') return this.#view(row, null)
    const active = await identityOf(database, name, 'active')
    // A dry run asks no key server for anything, so it cannot say what they would answer.
    if (active !== null && isRehearsed()) return this.#view(row, null)
    const refusal = active === null || force ? null : await this.#tryOut(row, prepared)
    if (refusal !== null) return this.#view(row, refusal)
    await events.transaction(async (transaction, record) => {
      const still = await identityOf(transaction, name, 'prepared')
      if (still?.id !== id) {
        throw new ControlPlaneError(
          'in-use',
          `the client certificate of key provider ${name} was changed meanwhile: see «key-provider show ${name}»`,
        )
      }
      await transaction
        .deleteFrom('provider_identity')
        .where('provider', '=', name)
        .where('state', '=', 'active')
        .execute()
      await transaction.updateTable('provider_identity').set({ state: 'active' }).where('id', '=', id).execute()
      const { subject, notAfter } = certificateView(prepared.certificate)
      const text = `key provider ${name} is shown another client certificate from now on: ${subject}, good until ${notAfter}`
      await record({ type: 'key-provider.changed', provider: name, text, user: by.name })
    })
    registry.changed(name)
    return this.#view(row, null)
  }

  /** Why the servers do not take it; `null`: they do, all that can be reached. */
  async #tryOut(row: KeyProviderRow, prepared: ProviderIdentityRow): Promise<string | null> {
    const { store, health } = this.#parts
    const missing = missingOf(row, prepared, null)
    if (missing !== null) return missing
    const provider = store.open(row, prepared)
    try {
      const status = await health.tryOut(provider)
      const refusing = status.servers.find((server) => server.isReachable && !server.isTrusted)
      if (refusing !== undefined) return refusing.reason
      return status.health === 'red' ? status.reason : null
    } finally {
      await store.close(provider)
    }
  }

  async #insert(
    transaction: Transaction<Schema>,
    row: KeyProviderRow,
    way: ProviderIdentityRow['way'],
    { certificate, csr, clientKey }: NewIdentity,
    store: ProviderStore,
  ): Promise<string> {
    await transaction
      .deleteFrom('provider_identity')
      .where('provider', '=', row.name)
      .where('state', '=', 'prepared')
      .execute()
    const id = v7()
    await transaction
      .insertInto('provider_identity')
      .values({
        id,
        provider: row.name,
        way,
        state: 'prepared',
        certificate,
        csr,
        key_sealed: store.seal(row, certificate, clientKey),
        created_at: this.#parts.clock(),
      })
      .execute()
    return id
  }

  /** The name under which the servers know us already, else a common one. */
  async #commonName(name: string): Promise<string> {
    const active = await identityOf(this.#parts.database, name, 'active')
    return (active === null ? null : readCertificate(active.certificate).commonName) ?? defaultCommonName
  }

  async #view(row: KeyProviderRow, refusal: string | null): Promise<ClientTrust> {
    const active = await identityOf(this.#parts.database, row.name, 'active')
    const prepared = await identityOf(this.#parts.database, row.name, 'prepared')
    return {
      active: active === null ? null : identityView(active),
      prepared: prepared === null ? null : identityView(prepared),
      rootCaPem: this.#parts.certificates.ca,
      next: nextStep(row, active, prepared, refusal),
    }
  }
}

async function takeUploaded(
  transaction: Transaction<Schema>,
  pendingKeys: PendingClientKeys,
  name: string,
  certificate: string,
): Promise<NewIdentity> {
  const clientKey = await pendingKeys.take(transaction, name)
  try {
    checkPrivateKey('clientKey', clientKey, certificate)
    return { certificate, csr: null, clientKey }
  } catch (error) {
    clientKey[Symbol.dispose]()
    throw error
  }
}

function checkSigned(clientKey: NewIdentity['clientKey'], certificate: string, name: string): void {
  try {
    checkPrivateKey('certificate', clientKey, certificate)
  } catch (cause) {
    throw new ControlPlaneError(
      'invalid',
      `certificate: is not made of the request that waits: «key-provider trust show ${name} --csr» prints that one`,
      { field: 'certificate', cause },
    )
  }
}

function identityView(row: ProviderIdentityRow): ClientIdentity {
  return {
    way: row.way,
    state: row.state,
    certificate: row.certificate === '' ? null : certificateView(row.certificate),
    certificatePem: row.certificate === '' ? null : row.certificate,
    csrPem: row.csr,
    createdAt: timeText(row.created_at),
    renewAt: timeTextOrNull(renewalTime(row)),
  }
}

/** What a person has to do before the servers take the certificate that waits, or the one that is shown. */
function nextStep(
  row: KeyProviderRow,
  active: ProviderIdentityRow | null,
  prepared: ProviderIdentityRow | null,
  refusal: string | null,
): string | null {
  const { name } = row
  const missing = missingOf(row, active, null)
  if (prepared === null) {
    if (missing !== null) return missing
    // Nobody knows yet whether the servers take it.
    return `«key-provider status ${name}» says whether the servers take it`
  }
  const activate = `then «key-provider trust activate ${name}»; it is tried by itself every hour, too`
  const why = refusal === null ? '' : `the servers do not take the new certificate yet (${refusal}): `
  if (prepared.certificate === '') {
    return `have the key server’s CA sign the request, then «key-provider trust certificate ${name} FILE»`
  }
  switch (prepared.way) {
    case 'root-ca':
      return `${why}upload the control plane’s CA certificate at the key server as a trusted client CA, ${activate}`
    case 'self-signed':
      return `${why}register the new certificate at the key server as a client, ${activate}`
    case 'upload':
    case 'csr':
      return `${why}see that the key server knows the new certificate, ${activate}`
  }
}
