import type { IdentitySourceTest } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { findSource, oidcConfigOf } from './identity-source.ts'
import type { IdentitySources } from './identity-sources.ts'
import type { LdapSourceTests } from './ldap/ldap-source-test.ts'
import { testOidcSource } from './oidc/oidc-source-test.ts'

/** Trying sources of each kind out. It changes nothing, here nor there. */
export class SourceTrials {
  readonly #database: Kysely<Schema>
  readonly #sources: IdentitySources
  readonly #directories: Pick<LdapSourceTests, 'test'>
  readonly #clock: Clock

  constructor(
    database: Kysely<Schema>,
    sources: IdentitySources,
    directories: Pick<LdapSourceTests, 'test'>,
    clock: Clock,
  ) {
    this.#database = database
    this.#sources = sources
    this.#directories = directories
    this.#clock = clock
  }

  /** Throws `not-found`, and `invalid` for a user of a provider, who is known to it alone. */
  async test(name: string, user: string | undefined): Promise<IdentitySourceTest> {
    const source = await findSource(this.#database, name)
    if (source.kind === 'ldap') return this.#directories.test(source, user)
    if (user !== undefined) {
      const message = `user: ${name} says nothing of users before they log in: try it by «login --source ${name}»`
      throw new ControlPlaneError('invalid', message, { field: 'user' })
    }
    using secret = this.#sources.openSecret(source)
    const steps = await testOidcSource(oidcConfigOf(source), secret, this.#clock)
    return { works: steps.every(({ works }) => works), steps, user: null }
  }
}
