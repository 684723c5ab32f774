import type { CertificateView, Health, KeyProviderStatus } from '@cryptvisor/control-plane-api'
import type { ProviderStatus, ServerStatus } from '@cryptvisor/key-provider'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'
import type { KeyProviderRow } from '../../database/schema.ts'
import { timeText } from '../clock.ts'
import { trustedServersOf } from '../provider-store.ts'
import { certificateView, serverName, serversOf } from '../provider-view.ts'

const dayMs = 86_400_000

/** A certificate that ends within that time makes its provider yellow. */
export const certificateWarningMs = 30 * dayMs

/** Clocks that differ by more than that make certificates «not yet valid», and dates at the key server wrong. */
const clockDifferenceMaxMs = 300_000

/** What is thought of a provider, in words. */
export interface Judgement {
  readonly health: Health
  readonly text: string
  readonly servers: KeyProviderStatus['servers']
}

/**
 * What a probe found, together with what else wants attention: certificates that end, clocks that differ. `changed`: by
 * server, the certificate that is shown instead of the pinned one, PEM. `before`: the servers as the last probe found
 * them. One that is not trusted now, as its certificate is over, or does not answer keeps the certificate that it had:
 * it is what has to be renewed.
 */
export function judge(
  status: ProviderStatus,
  changed: ReadonlyMap<string, string>,
  row: KeyProviderRow,
  active: ProviderIdentityRow | null,
  now: number,
  before: Judgement['servers'] = [],
): Judgement {
  const trusted = new Set(trustedServersOf(row).map(serverName))
  const untrusted = serversOf(row).filter((server) => !trusted.has(serverName(server)))
  const certificateBefore = (address: string) =>
    before.find((server) => server.address === address)?.certificate ?? null
  const servers = [
    ...status.servers.map((server) => {
      const judged = judgeServer(server, changed.get(server.name) ?? null, pinOf(row, server.name), row.name, now)
      return { ...judged, certificate: judged.certificate ?? certificateBefore(server.name) }
    }),
    ...untrusted.map((server) => untrustedServer(serverName(server), row.name)),
  ]
  // What the probe found about its servers is in its own reason.
  const told = new Set(status.servers.filter(({ health }) => health !== 'green').map(({ name }) => name))
  const warnings = [
    ...servers
      .filter(({ address, health }) => health !== 'green' && !told.has(address))
      .map(({ address, text }) => `server ${address}: ${text}`),
    ...clientWarnings(row.name, active, now),
    ...clockWarnings(status.keyMadeAt, now),
  ]
  if (status.health === 'red') {
    // Many servers only close the connection then: what is known here is not left to guessing.
    const isOver = active !== null && Date.parse(certificateView(active.certificate).notAfter) <= now
    const causes = isOver ? clientWarnings(row.name, active, now) : []
    return { health: 'red', text: [...causes, status.reason].join('; '), servers }
  }
  if (warnings.length === 0) return { health: status.health, text: status.reason, servers }
  const start = status.health === 'green' ? 'keys can be had, but ' : `${status.reason}; `
  return { health: 'yellow', text: start + warnings.join('; '), servers }
}

function judgeServer(
  server: ServerStatus,
  changedPem: string | null,
  pin: string | null,
  provider: string,
  now: number,
): Judgement['servers'][number] {
  const pem = changedPem ?? server.certificatePem
  const certificate = pem === null ? null : certificateView(pem)
  const ending =
    certificate === null || changedPem !== null
      ? null
      : endText(
          Date.parse(certificate.notAfter),
          now,
          'its certificate',
          `renew it at the key server, then «key-provider trust server ${provider}» where it is pinned`,
        )
  const change = changedPem === null ? null : changeText(certificateView(changedPem), pin, provider)
  // What the server was found to be by asking is the same said less well.
  const found = server.health === 'green' || change !== null ? null : server.reason
  const reasons = [change, found, ending].filter((text) => text !== null)
  return {
    address: server.name,
    health: server.health === 'green' && ending !== null ? 'yellow' : server.health,
    text: reasons.length === 0 ? server.reason : reasons.join('; '),
    protocolVersion: server.protocolVersion,
    vendor: server.vendorIdentification,
    roundTripMs: server.roundTripMs,
    certificate,
  }
}

function changeText({ fingerprint256, subject, issuer }: CertificateView, pin: string | null, provider: string) {
  return `shows another certificate than the trusted one: ${fingerprint256} (subject ${subject}, issuer ${issuer}), trusted is ${pin}; when you know why it changed, trust the new one: «key-provider trust server ${provider}»`
}

function pinOf(row: KeyProviderRow, address: string): string | null {
  return serversOf(row).find((server) => serverName(server) === address)?.fingerprint256 ?? null
}

function untrustedServer(address: string, provider: string): Judgement['servers'][number] {
  return {
    address,
    health: 'red',
    text: `is not asked: its certificate is not trusted yet, see «key-provider trust server ${provider}»`,
    protocolVersion: null,
    vendor: null,
    roundTripMs: null,
    certificate: null,
  }
}

function clientWarnings(provider: string, active: ProviderIdentityRow | null, now: number): string[] {
  if (active === null) return []
  const end = Date.parse(certificateView(active.certificate).notAfter)
  const text = endText(
    end,
    now,
    'our client certificate',
    `get a new one: «key-provider trust --help», «key-provider show ${provider}»`,
  )
  return text === null ? [] : [text]
}

function clockWarnings(madeAt: Date | null, now: number): string[] {
  if (madeAt === null) return []
  const differenceMs = madeAt.getTime() - now
  if (Math.abs(differenceMs) <= clockDifferenceMaxMs) return []
  const minutes = Math.round(Math.abs(differenceMs) / 60_000)
  return [
    `the key server’s clock is ${minutes} minutes ${differenceMs > 0 ? 'ahead of' : 'behind'} the control plane’s: mend the time (NTP) on the one that is wrong`,
  ]
}

/** Says that something ends soon, or has; `null`: it does not. */
function endText(end: number, now: number, what: string, next: string): string | null {
  if (end - now > certificateWarningMs) return null
  if (end <= now) return `${what} expired on ${timeText(end)}: ${next}`
  const days = Math.floor((end - now) / dayMs)
  return `${what} ends in ${days === 0 ? 'less than a day' : `${days} days`}, on ${timeText(end)}: ${next}`
}
