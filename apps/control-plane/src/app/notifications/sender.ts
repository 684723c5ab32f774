import type { Secret } from '@cryptvisor/secret'

/** One event or record of the audit on its way out. */
export interface Item {
  /** ID of the event or position of the record. */
  readonly number: number
  /** The same for the same item, however often it is sent, and for no other one, of any installation. */
  readonly id: string
  readonly source: 'events' | 'audit'
  readonly type: string
  readonly severity: 'info' | 'warning' | 'error'
  /** RFC 3339. */
  readonly time: string
  readonly text: string
  /** Names that it is about, for structured data. */
  readonly about: Readonly<Record<string, string>>
  /** The event or record as the API gives it. */
  readonly body: object
}

/** Sends items to one place. */
export interface Sender {
  /** How many it takes at once. */
  readonly batchMax: number
  /** Sends all of `items`, or throws `DeliveryError`. `secret` stays the caller’s. */
  send(items: readonly Item[], secret: Secret | null, signal: AbortSignal): Promise<void>
}

/** Why something was not delivered; the text is for the operator and never has a secret. */
export class DeliveryError extends Error {
  /** Trying the same again soon will not help. */
  readonly permanent: boolean

  constructor(message: string, options: { readonly permanent?: boolean; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'DeliveryError'
    this.permanent = options.permanent ?? false
  }
}

/** How long one delivery may take, in milliseconds. */
export const deliveryTimeoutMs = 15_000

/** An error of the network in words. */
export function networkFailure(where: string, cause: unknown): DeliveryError {
  const { code, message } =
    cause instanceof Error ? (cause as NodeJS.ErrnoException) : { code: undefined, message: 'unknown error' }
  return new DeliveryError(`${where}: ${code ?? message}`, { cause })
}
