import type { Readable } from 'node:stream'
import type { SupportBundlePlan, TakeHostBundle } from '@cryptvisor/control-plane-api'
import type { TakeSupportBundle } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import { openBundleKey, parseSealedHeader, SupportBundleError } from '@cryptvisor/support-bundle'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { HostConnection, Principal } from '../../ports.ts'
import { sealingWords } from '../../support/bundle-period.ts'
import { askedOf } from '../agent-refusal.ts'
import type { WorkContext } from '../context.ts'
import { findKey } from '../keys/key-rows.ts'
import type { Kms } from '../keys/kms.ts'
import { requireConnection } from '../vms/change-request.ts'
import { watchedStream } from '../watched-stream.ts'
import { hostNamed } from './host-lookup.ts'
import { readHostRecords } from './host-records.ts'

/** Support bundles of hosts. Their agents make them; the control plane adds what it has on record, and keeps nothing. */
export class HostBundles {
  readonly #work: WorkContext
  readonly #kms: Kms

  constructor(work: WorkContext, kms: Kms) {
    this.#work = work
    this.#kms = kms
  }

  /** What a bundle of a host would have. Throws `host-disconnected`. */
  async plan(principal: Principal, nameOrId: string): Promise<SupportBundlePlan> {
    const { host, connection, request } = await this.#ask(principal, nameOrId, false)
    return await askedOf(host.name, connection.client.planSupportBundle(request))
  }

  /**
   * A bundle of a host, as it is made; it is on record before its first byte goes out. Throws `host-disconnected`, and
   * `invalid` where it is to be sealed to a host key that the host does not hold.
   */
  async take(
    principal: Principal,
    nameOrId: string,
    { sealing }: TakeHostBundle,
    signal: AbortSignal,
  ): Promise<Readable> {
    const { host, connection, request } = await this.#ask(principal, nameOrId, sealing === 'host-key')
    const { hostKey } = sealing === 'host-key' ? await askedOf(host.name, connection.client.host()) : { hostKey: null }
    const stop = AbortSignal.any([signal, this.#work.stopping])
    const source = await askedOf(host.name, connection.client.takeSupportBundle(request, stop))
    const { stopping, timings } = this.#work
    const content = watchedStream(source, timings.contentWaitMs, stopping, 'nothing was read for too long')
    // It may break off before anybody reads it.
    content.on('error', () => undefined)
    const how =
      sealing === 'host-key'
        ? `sealed to host key ${hostKey === null ? 'of the host' : keyText(hostKey)}`
        : sealingWords[sealing]
    try {
      await this.#work.events.record({
        ...{ type: 'support-bundle.taken', host: host.name, user: principal.name, ...hostKey },
        text: `${principal.name} takes a support bundle of host ${host.name}: ${how}`,
      })
    } catch (error) {
      content.destroy()
      throw error
    }
    return content
  }

  /**
   * The key of a bundle that was sealed to a key of this host, fetched from its provider for this once; the caller disposes of it.
   * Only a key that is on record as this host's is fetched, whatever the header names. It is on record before the key goes out.
   */
  async open(principal: Principal, nameOrId: string, headerLine: string): Promise<Secret> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const { header } = parsed(headerLine)
    const { key } = header
    const row = await findKey(this.#work.database, key)
    if (row === null || row.owner_kind !== 'host' || row.owner_id !== host.id) {
      throw new ControlPlaneError(
        'invalid',
        `header: it names key ${key.keyId} of provider ${key.provider}, which is not on record as a host key of ${host.name}: open the file with «host-agent decrypt-bundle» and that key`,
        { field: 'header' },
      )
    }
    using hostKey = await this.#kms.fetch(key, { host: host.name, vm: null, user: principal.name, task: null })
    const bundleKey = opened(() => openBundleKey(header, hostKey))
    try {
      await this.#work.events.record({
        ...{ type: 'support-bundle.opened', host: host.name, user: principal.name, ...key },
        text: `${principal.name} opens a support bundle of host ${header.host} that was made at ${header.createdAt}`,
      })
    } catch (error) {
      bundleKey[Symbol.dispose]()
      throw error
    }
    return bundleKey
  }

  async #ask(
    principal: Principal,
    nameOrId: string,
    sealed: boolean,
  ): Promise<{ host: HostRow; connection: HostConnection; request: TakeSupportBundle }> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const connection = requireConnection(this.#work, host)
    const records = await readHostRecords(this.#work, host)
    return { host, connection, request: { takenBy: principal.name, sealed, ...records } }
  }
}

const parsed = (line: string) => opened(() => parseSealedHeader(Buffer.from(`${line}\n`)))

function opened<Value>(open: () => Value): Value {
  try {
    return open()
  } catch (cause) {
    if (!(cause instanceof SupportBundleError)) throw cause
    throw new ControlPlaneError('invalid', `header: ${cause.message}`, { field: 'header', cause })
  }
}
