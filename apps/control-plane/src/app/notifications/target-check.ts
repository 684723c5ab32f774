import type { CreateNotification } from '@cryptvisor/control-plane-api'
import type { NotificationTargetRow } from '../../database/notification-rows.ts'
import type { Clock } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { certificatesOf } from '../pem.ts'
import { hostOf, isLoopback, isRefusedAddress } from './address-check.ts'
import { EmailSender } from './email.ts'
import type { Sender } from './sender.ts'
import { SyslogSender } from './syslog.ts'
import { WebhookSender } from './webhook.ts'

/** The part of a request that says where to, as it is kept. */
export type TargetConfig = Pick<CreateNotification, 'webhook' | 'email' | 'syslog'>

/** A mail address, one line, as SMTP can take it. */
const mailAddress = /^[^\s<>"@]+@[^\s<>"@]+$/

/** Checks where to. Throws `invalid`, naming the field. */
export function checkTarget(request: CreateNotification): {
  readonly kind: NotificationTargetRow['kind']
  readonly config: TargetConfig
} {
  const { webhook, email, syslog } = request
  if ([webhook, email, syslog].filter((each) => each !== undefined).length !== 1) {
    throw new ControlPlaneError('invalid', 'give exactly one of webhook, email and syslog', { field: 'webhook' })
  }
  if (webhook !== undefined) {
    checkWebhook(webhook.url)
    checkCa('webhook.ca', webhook.ca)
    return { kind: 'webhook', config: { webhook } }
  }
  if (email !== undefined) {
    checkHost('email.host', email.host)
    checkCa('email.ca', email.ca)
    for (const address of [email.from, ...email.to]) {
      if (!mailAddress.test(address)) throw invalid('email.to', 'expected mail addresses such as ops@example.org')
    }
    if (email.security === 'none' && !isLoopback(email.host)) {
      throw invalid('email.security', 'mail leaves this machine by STARTTLS or TLS only')
    }
    return { kind: 'email', config: { email } }
  }
  if (syslog === undefined) throw new Error('one of them is there')
  checkHost('syslog.host', syslog.host)
  checkCa('syslog.ca', syslog.ca)
  checkCa('syslog.clientCertificate', syslog.clientCertificate)
  if (syslog.transport === 'tcp' && !isLoopback(syslog.host)) {
    throw invalid('syslog.transport', 'syslog leaves this machine by TLS only')
  }
  return { kind: 'syslog', config: { syslog } }
}

/** Whether the target needs a secret: a key to sign with, a password, a private key. */
export function needsSecret({ webhook, email, syslog }: TargetConfig): boolean {
  return webhook !== undefined || email?.user !== undefined || syslog?.clientCertificate !== undefined
}

/** In words. */
export function addressOf({ webhook, email, syslog }: TargetConfig): string {
  if (webhook !== undefined) return webhook.url
  if (email !== undefined) return `${email.to.join(', ')} by ${email.host}:${email.port}`
  return `${syslog?.host}:${syslog?.port} (${syslog?.transport})`
}

export function senderOf({ webhook, email, syslog }: TargetConfig, hostName: string, clock: Clock): Sender {
  if (webhook !== undefined) return new WebhookSender(webhook, clock)
  if (email !== undefined) return new EmailSender(email)
  if (syslog !== undefined) return new SyslogSender(syslog, hostName)
  throw new Error('a notification target has no address')
}

function checkWebhook(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : null
  const host = url === null ? '' : hostOf(url)
  if (url === null || !['https:', 'http:'].includes(url.protocol)) {
    throw invalid('webhook.url', 'expected an address such as https://hooks.example.org/cryptvisor')
  }
  if (url.protocol === 'http:' && !isLoopback(host)) {
    throw invalid('webhook.url', 'expected https; http is for this machine itself only')
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid('webhook.url', 'has a user or password in it: the signature says who sends')
  }
  checkHost('webhook.url', host)
}

function checkHost(field: string, host: string): void {
  if (/[\s/]/.test(host)) throw invalid(field, 'expected a host name or an address')
  if (isRefusedAddress(host))
    throw invalid(field, `nothing is sent to ${host}: link-local, multicast and unspecified addresses are refused`)
}

function checkCa(field: string, pem: string | undefined): void {
  if (pem !== undefined) certificatesOf(field, pem)
}

const invalid = (field: string, message: string) => new ControlPlaneError('invalid', `${field}: ${message}`, { field })
