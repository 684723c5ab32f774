/** What the server takes at most from its peers. */
export interface ServerLimits {
  /** How many bytes a request may have, checked before it is kept. */
  readonly messageSizeMax: number
  /** How many bytes an answer may have, whatever the client would take. */
  readonly responseSizeMax: number
  readonly connectionsMax: number
  readonly connectionsOfAddressMax: number
  readonly handshakeTimeoutMs: number
  /** From the first byte of a message to its last. */
  readonly messageTimeoutMs: number
  /** Between messages. */
  readonly idleTimeoutMs: number
  /** How long `close` waits for answers that are being made. */
  readonly closeTimeoutMs: number
}

export const defaultServerLimits: ServerLimits = {
  messageSizeMax: 1_048_576,
  responseSizeMax: 8_388_608,
  connectionsMax: 1000,
  connectionsOfAddressMax: 200,
  handshakeTimeoutMs: 10_000,
  messageTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  closeTimeoutMs: 5000,
}
