import { controlPlaneUri, type SessionRequest } from '@cryptvisor/host-agent-api'
import { type Identity, readCertificate } from '@cryptvisor/pki'
import { RestClient, RestClientError, type RestServer, renewIdentity, type TlsIdentity } from '@cryptvisor/rest'
import type { Logger } from 'pino'
import { AgentError } from './agent-error.ts'
import { type RenewalTiming, type RenewalWish, renewCertificate, waitForRenewal } from './certificate-renewal.ts'
import type { ControlPlaneEpoch } from './control-plane-epoch.ts'
import type { Enrolled } from './enrolled.ts'
import type { MachineReports } from './machine/machine-reports.ts'
import { keepSession, type SessionWatch } from './session.ts'

/** What the agent's sessions are made of. */
export interface SessionParts {
  readonly folder: string
  readonly enrolled: Enrolled
  readonly request: SessionRequest
  readonly epoch: ControlPlaneEpoch
  /** The agent's own server; it shows the renewed certificate from then on. */
  readonly app: RestServer
  readonly wish: RenewalWish
  readonly watch: SessionWatch
  readonly reports: MachineReports
  readonly timing: RenewalTiming
}

/** What the agent's own server shows. The TLS library takes PEM and keeps the key itself. */
export function shownBy(identity: Identity, ca: string): TlsIdentity {
  return {
    certificate: identity.certificate,
    privateKey: identity.privateKey.expose((bytes) => Buffer.from(bytes)),
    clientCa: ca,
  }
}

/**
 * Keeps sessions with the control plane, one after another: each ends when the host's certificate was renewed, and the next one is
 * dialled with the new one, which makes the old one worthless. Resolves when `signal` fires.
 */
export async function keepRenewingSession(parts: SessionParts, log: Logger, signal: AbortSignal): Promise<void> {
  let identity = parts.enrolled.identity
  using owned = new DisposableStack()
  while (!signal.aborted) {
    const renewed = await holdIdentity(parts, identity, log, signal)
    if (renewed === null) return
    owned.use(renewed)
    renewIdentity(parts.app, shownBy(renewed, parts.enrolled.ca))
    identity = renewed
  }
}

/** Sessions under one identity; gives the one that takes its place, `null` when `signal` fires. */
async function holdIdentity(
  { folder, enrolled, request, epoch, wish, watch, reports, timing }: SessionParts,
  identity: Identity,
  log: Logger,
  signal: AbortSignal,
): Promise<Identity | null> {
  const { config, ca } = enrolled
  await using client = new RestClient({
    url: config.controlPlaneUrl,
    ca,
    identity,
    checkServer: (certificate) =>
      readCertificate(certificate.raw).uris.includes(controlPlaneUri) ? undefined : 'it is not the control plane',
  })
  const over = new AbortController()
  const ending = AbortSignal.any([signal, over.signal])
  const begun = () => reports.due()
  const session = keepSession(
    { client, request, log, epoch, watch, begun, random: timing.random, now: timing.now },
    ending,
  )
  const sending = reports.send(client, request.bootId, log, ending)
  try {
    for (let failed = false; ; failed = true) {
      if ((await waitForRenewal(identity.certificate, wish, timing, signal, failed)) === 'ended') return null
      const host = { folder, hostId: config.hostId, name: config.name, ca }
      const renewed = await tryRenewal(client, host, identity, log)
      if (renewed !== null) return renewed
    }
  } finally {
    over.abort()
    await session
    await sending
  }
}

/** `null`: it did not work, and is tried again later. */
async function tryRenewal(
  client: RestClient,
  host: Parameters<typeof renewCertificate>[1],
  identity: Identity,
  log: Logger,
): Promise<Identity | null> {
  try {
    const renewed = await renewCertificate(client, host)
    log.info({ notAfter: readCertificate(renewed.certificate).notAfter.toISOString() }, 'the certificate was renewed')
    return renewed
  } catch (error) {
    const reason = error instanceof RestClientError || error instanceof AgentError ? error.message : 'a fault of ours'
    const notAfter = readCertificate(identity.certificate).notAfter.toISOString()
    log.warn(
      { err: error, reason, notAfter },
      'the certificate of this host could not be renewed; it is tried again. One that is over: «host enroll», then «host-agent enroll --again»',
    )
    return null
  }
}
