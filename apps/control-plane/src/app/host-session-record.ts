import type { SessionRequest } from '@cryptvisor/host-agent-api'
import type { HostRow } from '../database/schema.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import type { HostConnection } from './ports.ts'

/**
 * Records that a session of `host`, as it is from now on, began, and what is odd about it. `before`: the session whose
 * place it took. Throws `not-logged-in` when the host was removed or enrolled again meanwhile.
 */
export async function recordSessionBegin(
  events: EventLog,
  host: HostRow,
  request: SessionRequest,
  before: HostConnection | null,
): Promise<void> {
  await events.transaction(async (transaction, record) => {
    const enrolled = await transaction
      .selectFrom('host')
      .select('url')
      .where('id', '=', host.id)
      .where('certificate_serial', '=', host.certificate_serial)
      .executeTakeFirst()
    if (enrolled === undefined) throw notEnrolled()
    const { url, version, crypto_supported, last_seen_at } = host
    await transaction
      .updateTable('host')
      .set({ url, version, crypto_supported, last_seen_at, boot_id: request.bootId })
      .where('id', '=', host.id)
      .execute()
    if (before !== null && before.bootId !== request.bootId) {
      await record({
        type: 'host.session-replaced',
        host: host.name,
        text: `${host.name} opened a session while another start of its agent had one: unless it was just started again, somebody else has its identity; remove the host or enrol it again then`,
      })
    }
    if (enrolled.url !== url) {
      await record({
        type: 'host.address-changed',
        host: host.name,
        text: `${host.name} answers at ${url} now, not at ${enrolled.url} any more`,
      })
    }
    await record({
      type: 'host.connected',
      host: host.name,
      text: `${host.name} connected (version ${version}, ${request.cryptoSupported ? 'can' : 'cannot'} take keys)`,
    })
  })
}

/** Whoever asks is no host of ours, or not any more. */
export function notEnrolled(): ControlPlaneError {
  return new ControlPlaneError(
    'not-logged-in',
    'expected the client certificate of an enrolled host: this one is not, or was removed or enrolled again since',
  )
}
