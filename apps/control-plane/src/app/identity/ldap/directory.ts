import type { LdapConfig } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import type { Clock } from '../../clock.ts'
import { LdapConnection } from './ldap-connection.ts'
import { LdapFailure } from './ldap-failure.ts'
import { type LdapServer, ldapServersOf } from './ldap-server.ts'

/** A server that could not be reached is asked after the others for so long. */
const avoidedMs = 60_000

/** No further server is tried when a question has taken so long. */
const askMsMax = 15_000

/** How many servers are remembered as unreachable; the oldest are forgotten. */
const avoidedMax = 200

/** Asks directories, each at whichever of its servers answers. */
export class Directories {
  readonly #clock: Clock
  readonly #failedAt = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Connects to a server of the directory as the account that is ours there, `bindPassword` with it, and has `ask` ask. What
   * cannot be reached, or breaks off, is tried with the next server from the start. Throws `LdapFailure`, the last of them.
   */
  async ask<Result>(
    config: LdapConfig,
    bindPassword: Secret | null,
    ask: (connection: LdapConnection) => Promise<Result>,
  ): Promise<Result> {
    const begun = this.#clock()
    let last: LdapFailure | null = null
    for (const server of this.#inOrder(config)) {
      if (last !== null && this.#clock() - begun > askMsMax) break
      try {
        await using connection = await LdapConnection.open(server, config.ca)
        await bindAsOurselves(connection, config, bindPassword)
        const result = await ask(connection)
        this.#failedAt.delete(server.url)
        return result
      } catch (error) {
        if (!(error instanceof LdapFailure) || error.kind !== 'unreachable') throw error
        last = error
        this.#avoid(server.url)
      }
    }
    throw last ?? new LdapFailure('wrong', 'it has no server that could be asked')
  }

  /** As they stand in the settings, those that failed just now last. */
  #inOrder(config: LdapConfig): LdapServer[] {
    const servers = ldapServersOf(config)
    const isAvoided = ({ url }: LdapServer) =>
      (this.#failedAt.get(url) ?? Number.NEGATIVE_INFINITY) + avoidedMs > this.#clock()
    return [...servers.filter((server) => !isAvoided(server)), ...servers.filter(isAvoided)]
  }

  #avoid(url: string): void {
    this.#failedAt.delete(url)
    this.#failedAt.set(url, this.#clock())
    const [oldest] = this.#failedAt.keys()
    if (oldest !== undefined && this.#failedAt.size > avoidedMax) this.#failedAt.delete(oldest)
  }
}

/** Throws `LdapFailure` where the directory does not take us. */
export async function bindAsOurselves(
  connection: LdapConnection,
  { bindDn }: LdapConfig,
  bindPassword: Secret | null,
): Promise<void> {
  if (bindDn === undefined) return
  if (bindPassword === null) {
    const message = 'its bind password is not there: give it one («identity-source secret»)'
    throw new LdapFailure('refused', message)
  }
  // The library needs a string, which lives as long as the question.
  const { isIn, why } = await bindPassword.expose((bytes) =>
    connection.bind(bindDn, Buffer.from(bytes).toString('utf8')),
  )
  if (isIn) return
  const message = `${connection.server.url}: the directory does not take the bind DN with this password${why === null ? '' : `: ${why}`}`
  throw new LdapFailure('refused', message)
}
