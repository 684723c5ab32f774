import type { IdentitySourceRow } from '../../../database/identity-rows.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { ldapConfigOf } from '../identity-source.ts'
import type { IdentitySources } from '../identity-sources.ts'
import type { Directories } from './directory.ts'
import type { LdapConnection } from './ldap-connection.ts'
import { LdapFailure } from './ldap-failure.ts'
import type { SourceHealth } from './source-health.ts'

/** Where directories are asked for the sources that they are: with their password, and keeping whether they can be used. */
export class SourceDesk {
  readonly #sources: IdentitySources
  readonly #directories: Directories
  readonly #health: SourceHealth

  constructor(sources: IdentitySources, directories: Directories, health: SourceHealth) {
    this.#sources = sources
    this.#directories = directories
    this.#health = health
  }

  /** Throws `identity-source-failed`, whose text says nothing of the directory: who may know it finds it with the source. */
  async ask<Result>(source: IdentitySourceRow, ask: (connection: LdapConnection) => Promise<Result>): Promise<Result> {
    using secret = this.#sources.openSecret(source)
    try {
      const result = await this.#directories.ask(ldapConfigOf(source), secret, ask)
      await this.#health.works(source.name)
      return result
    } catch (cause) {
      if (!(cause instanceof LdapFailure)) throw cause
      await this.#health.failed(source.name, cause.message)
      const message = `${source.name} cannot be used now: administrators see why («cryptvisor identity-source show ${source.name}»); users of the control plane itself can log in`
      throw new ControlPlaneError('identity-source-failed', message, { cause })
    }
  }
}
