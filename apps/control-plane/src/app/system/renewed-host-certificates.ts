import { hostUri } from '@cryptvisor/host-agent-api'
import type { CertificateInfo } from '@cryptvisor/pki'
import type { HostRow } from '../../database/schema.ts'
import { timeText } from '../clock.ts'
import type { EventLog } from '../events.ts'
import { readInstallation } from './installation.ts'

/** Our authority begins the validity of what it issues so long before (`packages/pki`). */
const clockSkewMs = 300_000

/**
 * After a restore, until it is settled: takes a host's certificate that is not on record, since it was renewed after the backup.
 * That our authority signed it TLS has checked; it must name a host that the backup has, and have been issued after the backup.
 * Gives the host; `null`: it is none of these.
 */
export async function acceptRenewedCertificate(
  events: EventLog,
  { uris, serialNumber, notBefore, notAfter }: CertificateInfo,
): Promise<HostRow | null> {
  return events.transaction(async (transaction, record) => {
    const { on_hold, restored_from } = await readInstallation(transaction)
    if (on_hold === 0 || restored_from === null) return null
    const issuedAt = notBefore.getTime() + clockSkewMs
    if (issuedAt <= restored_from) return null
    const hosts = await transaction.selectFrom('host').selectAll().execute()
    const host = hosts.find(({ id }) => uris.length === 1 && uris[0] === hostUri(id))
    // Of several the newest counts: an earlier one does not come back.
    if (host === undefined || notAfter.getTime() <= host.certificate_expires_at) return null
    const values = { certificate_serial: serialNumber, certificate_expires_at: notAfter.getTime() }
    await transaction.updateTable('host').set(values).where('id', '=', host.id).execute()
    await record({
      type: 'host.certificate-accepted',
      host: host.name,
      text: `Host ${host.name} has a certificate of ${timeText(issuedAt)}, which was renewed after the backup that this control plane was restored from (${timeText(restored_from)}): it is good from now on, the one of the backup is not`,
    })
    return { ...host, ...values }
  })
}
