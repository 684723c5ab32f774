import { type Static, Type } from 'typebox'
import { Severity } from './events.ts'
import { Name, Nullable, Time } from './names.ts'

const strict = { additionalProperties: false } as const
const Host = Type.String({ minLength: 1, maxLength: 255 })
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })
const Pem = Type.String({ minLength: 1, maxLength: 65_536, description: 'PEM; the system’s own roots when left out' })
const Address = Type.String({ minLength: 3, maxLength: 254 })

/** The largest secret of a notification target, in bytes. */
export const notificationSecretSizeMax = 16_384

/** HTTPS, or HTTP to this machine itself. Signed with the target’s secret (Standard Webhooks, HMAC-SHA-256). */
export const WebhookConfig = Type.Object({ url: Type.String({ maxLength: 2000 }), ca: Type.Optional(Pem) }, strict)
export type WebhookConfig = Static<typeof WebhookConfig>

/** SMTP; `none` only to this machine itself. With `user` the target’s secret is the password. */
export const EmailConfig = Type.Object(
  {
    host: Host,
    port: Port,
    security: Type.Union([Type.Literal('starttls'), Type.Literal('tls'), Type.Literal('none')]),
    from: Address,
    to: Type.Array(Address, { minItems: 1, maxItems: 20 }),
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 254 })),
    ca: Type.Optional(Pem),
  },
  strict,
)
export type EmailConfig = Static<typeof EmailConfig>

/** RFC 5424 over TLS (RFC 5425); `tcp` only to this machine itself. With a client certificate the secret is its key, PEM. */
export const SyslogConfig = Type.Object(
  {
    host: Host,
    port: Port,
    transport: Type.Union([Type.Literal('tls'), Type.Literal('tcp')]),
    ca: Type.Optional(Pem),
    clientCertificate: Type.Optional(Pem),
  },
  strict,
)
export type SyslogConfig = Static<typeof SyslogConfig>

const Types = Type.Array(Type.String({ minLength: 1, maxLength: 80, pattern: '^[a-z.-]+(\\.\\*)?$' }), {
  maxItems: 100,
  description: 'Event types; `vm.*` stands for all that begin so. Empty: all',
})

const Source = Type.Union([Type.Literal('events'), Type.Literal('audit')])

/** Exactly one of `webhook`, `email` and `syslog`. */
export const CreateNotification = Type.Object(
  {
    name: Name,
    source: Type.Optional(Source),
    severity: Type.Optional(Severity),
    types: Type.Optional(Types),
    fromStart: Type.Optional(Type.Boolean({ description: 'What is there already, too' })),
    webhook: Type.Optional(WebhookConfig),
    email: Type.Optional(EmailConfig),
    syslog: Type.Optional(SyslogConfig),
  },
  strict,
)
export type CreateNotification = Static<typeof CreateNotification>

/** What was given up. */
export const NotificationLoss = Type.Object({
  firstItem: Type.Integer(),
  lastItem: Type.Integer(),
  count: Type.Integer(),
  error: Type.String(),
  time: Time,
})

export const NotificationTarget = Type.Object({
  name: Type.String(),
  kind: Type.Union([Type.Literal('webhook'), Type.Literal('email'), Type.Literal('syslog')]),
  address: Type.String(),
  source: Source,
  severity: Severity,
  types: Type.Array(Type.String()),
  state: Type.Union([Type.Literal('working'), Type.Literal('failing'), Type.Literal('needs-secret')]),
  waitingCount: Type.Integer({ description: 'Behind the last one that was sent; some may be left out by the filter' }),
  lastSentAt: Nullable(Time),
  failedCount: Type.Integer(),
  nextTryAt: Nullable(Time),
  lastError: Nullable(Type.String()),
  losses: Type.Array(NotificationLoss),
})
export type NotificationTarget = Static<typeof NotificationTarget>
export const NotificationTargetList = Type.Object({ targets: Type.Array(NotificationTarget) })
