import type { SessionLimits } from './session-limits.ts'
import type { VerificationSettings } from './work/keys/key-verification.ts'

/** What a KEK is labelled with at its creation (DESIGN.md, section 4). */
export interface Labels {
  /** `x-Vendor` */
  readonly vendor: string
  /** `x-Product` */
  readonly product: string
  /** `x-Product_Version` */
  readonly productVersion: string
}

/** How long to wait for a KMIP server, in milliseconds. */
export interface KmipTimeouts {
  /** For TCP and TLS together. */
  readonly connectTimeoutMs: number
  /** For the answer to one request. */
  readonly requestTimeoutMs: number
}

/** How the control plane works with key providers. */
export interface KmipSettings extends KmipTimeouts {
  /** How long from one probe of a key provider to the next, on average; 0: never by itself. */
  readonly probeIntervalMs: number
}

/** What the operator chose in `config.json` and business code needs. */
export interface Settings {
  readonly labels: Labels
  readonly kmip: KmipSettings
  /** Left out: keys are read back when somebody asks for it. */
  readonly keyVerification?: VerificationSettings
  /** How long a key that is to be destroyed can be taken back, when nobody says. */
  readonly keyDestroyAfterMs: number
  readonly sessions: SessionLimits
}
