import type { KmipError } from '@cryptvisor/kmip'

/** What an operator may want to know of; a program writes it to its log. No event has a key or an attribute's value. */
export type ServerEvent =
  /** No TLS: an unknown or missing certificate, no common suite, a time-out. Nothing of a message was read. */
  | { readonly kind: 'handshake-failed'; readonly address: string; readonly code: string }
  /** A good certificate that is not on record as a client's, or one too many connection. */
  | { readonly kind: 'connection-refused'; readonly address: string; readonly reason: ConnectionRefusal }
  | { readonly kind: 'connection-opened'; readonly address: string; readonly client: string }
  | { readonly kind: 'connection-closed'; readonly address: string; readonly client: string; readonly why: string }
  /** A message that could not be read; the peer was told so. */
  | { readonly kind: 'message-refused'; readonly client: string; readonly error: KmipError }
  /** A fault of ours: the peer was told nothing of the cause. */
  | { readonly kind: 'internal-error'; readonly client: string; readonly doing: string; readonly error: unknown }

export type ConnectionRefusal = 'unknown-client' | 'too-many-connections' | 'too-many-connections-of-address'

/** Takes events; must not throw. */
export type EventSink = (event: ServerEvent) => void
