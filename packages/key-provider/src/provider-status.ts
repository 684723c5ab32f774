/** Green: all is well. Yellow: it works, and something wants attention. Red: it does not work. */
export type Health = 'green' | 'yellow' | 'red'

/** How one server is. */
export interface ServerStatus {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly health: Health
  /** For people: what is wrong, and what to do; or that nothing is. */
  readonly reason: string
  /** Whether it accepts connections. */
  readonly isReachable: boolean
  /** Whether TLS works in both directions. */
  readonly isTrusted: boolean
  /** The KMIP version that is spoken with it; `null` when none could be agreed on. */
  readonly protocolVersion: string | null
  /** All that it says it has, the newest first. */
  readonly protocolVersions: readonly string[]
  readonly vendorIdentification: string | null
  /** How long a Query took on an open connection; `null` when there was none. */
  readonly roundTripMs: number | null
  /** What it showed, PEM; `null` when no trusted connection came about. */
  readonly certificatePem: string | null
}

/** How a provider is: its servers, and whether it makes, gives and destroys keys. */
export interface ProviderStatus {
  readonly health: Health
  readonly reason: string
  readonly servers: readonly ServerStatus[]
  /** When the probe’s key was made, by the provider’s own clock; `null` where that is not known. */
  readonly keyMadeAt: Date | null
}
