import type { Kysely } from 'kysely'
import type { Configuration } from 'openid-client'
import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import type { Schema } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { LoginFailures } from '../../login-failures.ts'
import { Turns } from '../../turns.ts'
import { oidcConfigOf } from '../identity-source.ts'
import type { IdentitySources } from '../identity-sources.ts'
import { discoverProvider } from './provider.ts'
import { failureOf } from './provider-failure.ts'

/** So many providers are asked at once. */
const providersAtOnceMax = 8

/** What asking providers needs. */
export interface ProviderDeskParts {
  readonly database: Kysely<Schema>
  readonly sources: IdentitySources
  readonly failures: LoginFailures
}

/** Where providers are asked for the sources that they are: with their secret, and with each failure told of. */
export class ProviderDesk {
  readonly #parts: ProviderDeskParts
  readonly #turns = new Turns(providersAtOnceMax)

  constructor(parts: ProviderDeskParts) {
    this.#parts = parts
  }

  /** A source to log in by at a provider. Throws `not-found`, with those that there are. */
  async source(name: string): Promise<IdentitySourceRow> {
    const rows = await this.#parts.database
      .selectFrom('identity_source')
      .selectAll()
      .where('enabled', '=', 1)
      .orderBy('name')
      .execute()
    const row = rows.find((each) => each.name === name)
    if (row?.kind === 'oidc') return row
    const known = rows.map((each) => each.name).join(', ')
    const message =
      row === undefined
        ? `there is no identity source ${name} to log in by: ${known === '' ? 'there is none, users log in with their password' : `there are ${known}`}`
        : `users of ${name} log in with their password, as NAME@${name}`
    throw new ControlPlaneError('not-found', message, { field: 'source' })
  }

  /** Asks the provider. Throws `not-logged-in` where it says no, `identity-source-failed` where it does not answer as it should. */
  async ask<Result>(
    source: IdentitySourceRow,
    address: string,
    ask: (provider: Configuration) => Promise<Result>,
  ): Promise<Result> {
    const { sources, failures } = this.#parts
    return this.#turns.take(source.name, address, async () => {
      using secret = sources.openSecret(source)
      try {
        return await ask(await discoverProvider(oidcConfigOf(source), secret))
      } catch (error) {
        if (error instanceof ControlPlaneError) {
          await failures.addAt(source.name, error.message, address)
          throw error
        }
        const failure = failureOf(error)
        if (failure === null) throw error
        const { text, isBroken } = failure
        await (isBroken ? failures.addBroken(source.name, text) : failures.addAt(source.name, text, address))
        throw new ControlPlaneError(
          isBroken ? 'identity-source-failed' : 'not-logged-in',
          isBroken ? `${source.name} cannot be used now: ${text}; users of the control plane itself can log in` : text,
          { cause: error },
        )
      }
    })
  }
}
