import type { KeyProviderDetail } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { certificatesOf } from '../pem.ts'
import { certificateView, toView } from '../provider-view.ts'
import type { ClientTrusts } from './client-trust.ts'
import type { DefaultProviders } from './provider-defaults.ts'
import { statusOf } from './provider-health.ts'
import { companionsOf, findProviderRow } from './provider-rows.ts'

/** Shows key providers in full, asking no server. */
export class ProviderDetails {
  readonly #database: Kysely<Schema>
  readonly #trusts: ClientTrusts
  readonly #defaults: DefaultProviders

  constructor(database: Kysely<Schema>, trusts: ClientTrusts, defaults: DefaultProviders) {
    this.#database = database
    this.#trusts = trusts
    this.#defaults = defaults
  }

  /** Throws `not-found`. */
  async show(name: string): Promise<KeyProviderDetail> {
    const row = await findProviderRow(this.#database, name)
    const companions = await companionsOf(this.#database, name)
    const { entities } = await this.#defaults.list()
    return {
      ...toView(row, companions),
      serverCa: row.server_ca === '' ? [] : certificatesOf('serverCa', row.server_ca).map(certificateView),
      status: companions.health === null ? null : statusOf(companions.health),
      clientTrust: companions.native === null ? await this.#trusts.show(name) : null,
      defaultOf: entities.filter(({ provider }) => provider === name).map(({ kind, name }) => ({ kind, name })),
    }
  }
}
