import { type RestServer, renewIdentity, type TlsIdentity } from '@cryptvisor/rest'
import type { CertificateInventory } from './app/certificate-inventory.ts'
import type { Certificates } from './app/certificates.ts'
import type { Clock } from './app/clock.ts'
import type { HostSessions } from './app/host-sessions.ts'
import type { Log } from './app/log.ts'

/** How often it is looked at whether they are due. */
const checkMs = 3_600_000

/** What the two servers show. */
export interface Shown {
  readonly users: TlsIdentity
  readonly hosts: TlsIdentity
}

/** New certificates for both servers under `host`, with fresh keys, which are nowhere but in memory. */
export async function issueShown(certificates: Certificates, host: string): Promise<Shown> {
  const issue = async (): Promise<TlsIdentity> => {
    using identity = await certificates.issueServer([host])
    const privateKey = identity.privateKey.expose((bytes) => Uint8Array.from(bytes))
    return { certificate: identity.certificate, privateKey }
  }
  return {
    users: await issue(),
    hosts: { ...(await issue()), clientCa: certificates.ca, clientCertificate: 'optional' },
  }
}

/** Whether what was issued at `issuedAt` for `validDays` has two thirds of its life behind it. */
export function isDue(issuedAt: number, validDays: number, now: number): boolean {
  return (now - issuedAt) * 3 >= validDays * 86_400_000 * 2
}

/** Shows new certificates to whoever connects from now on; hosts' sessions end, and the agents come again. */
export async function renewShown(
  issue: () => Promise<Shown>,
  users: RestServer,
  hosts: RestServer,
  sessions: HostSessions,
  inventory: CertificateInventory,
): Promise<void> {
  const shown = await issue()
  inventory.show(shown)
  renewIdentity(users, shown.users)
  renewIdentity(hosts, shown.hosts)
  await sessions.renewIdentity()
}

/** Looks again and again whether `renew` is due and does it then; what failed is tried again at the next look. */
export function keepRenewed(renew: () => Promise<void>, validDays: number, clock: Clock, log: Log): Disposable {
  let issuedAt = clock()
  const look = async () => {
    if (!isDue(issuedAt, validDays, clock())) return
    try {
      await renew()
      issuedAt = clock()
      log.info({}, 'our certificates were renewed')
    } catch (error) {
      log.error({ err: error }, 'our certificates could not be renewed')
    }
  }
  const timer = setInterval(() => void look(), checkMs)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
