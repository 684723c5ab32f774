import type { Readable } from 'node:stream'
import type { HostDump } from '@cryptvisor/control-plane-api'
import type { CoreDump, KeyReference } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { HostConnection, Principal } from '../../ports.ts'
import { askedOf } from '../agent-refusal.ts'
import type { WorkContext } from '../context.ts'
import { findKey } from '../keys/key-rows.ts'
import type { Kms } from '../keys/kms.ts'
import { requireConnection } from '../vms/change-request.ts'
import { watchedStream } from '../watched-stream.ts'
import { hostNamed } from './host-lookup.ts'

/** The core dumps that lie on hosts, sealed to host keys. They pass through the control plane, which keeps nothing of them. */
export class HostDumps {
  readonly #work: WorkContext
  readonly #kms: Kms

  constructor(work: WorkContext, kms: Kms) {
    this.#work = work
    this.#kms = kms
  }

  /** Throws `host-disconnected`. */
  async list(nameOrId: string): Promise<HostDump[]> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const dumps = await this.#dumpsOf(host, requireConnection(this.#work, host))
    return dumps.map(({ name, createdAt, process, fileSizeBytes, key }) => ({
      ...{ name, createdAt, process, sizeBytes: fileSizeBytes, key },
    }))
  }

  /**
   * Has a dump opened with the key that it was sealed to: by the host, when it holds that key still, else with the key fetched
   * for this once. Only a key that is on record as this host's is fetched, whatever the dump names. It is on record before the
   * first byte goes out. Throws `ControlPlaneError`.
   */
  async open(
    principal: Principal,
    nameOrId: string,
    dumpName: string,
    signal: AbortSignal,
  ): Promise<{ readonly content: Readable; readonly sizeBytes: number }> {
    const host = await hostNamed(this.#work.database, nameOrId)
    const connection = requireConnection(this.#work, host)
    const dump = (await this.#dumpsOf(host, connection)).find(({ name }) => name === dumpName)
    if (dump === undefined) {
      throw new ControlPlaneError(
        'not-found',
        `host ${host.name} has no core dump ${dumpName}: see «host dumps ${host.name}»`,
        { field: 'dump' },
      )
    }
    using hostKey = await this.#keyFor(host, connection, dump.key, principal)
    const stop = AbortSignal.any([signal, this.#work.stopping])
    const answer = await askedOf(host.name, connection.client.openDump(dump.name, hostKey, stop))
    const { stopping, timings } = this.#work
    const content = watchedStream(answer.stream, timings.contentWaitMs, stopping, 'nothing was read for too long')
    // It may break off before anybody reads it.
    content.on('error', () => undefined)
    const text = `${principal.name} opens core dump ${dump.name} of host ${host.name} (${dump.process.command}, process ${dump.process.pid}): ${answer.sizeBytes} bytes, plain`
    try {
      await this.#work.events.record({
        ...{ type: 'host.core-dump-opened', host: host.name, text, user: principal.name, ...dump.key },
      })
    } catch (error) {
      content.destroy()
      throw error
    }
    return { content, sizeBytes: answer.sizeBytes }
  }

  /** `null`: the host holds it. */
  async #keyFor(
    host: HostRow,
    connection: HostConnection,
    key: KeyReference,
    principal: Principal,
  ): Promise<Secret | null> {
    const row = await findKey(this.#work.database, key)
    if (row === null || row.owner_kind !== 'host' || row.owner_id !== host.id) {
      throw new ControlPlaneError(
        'invalid',
        `dump: it names key ${key.keyId} of provider ${key.provider}, which is not on record as a host key of ${host.name}: open the file with «host-agent decrypt-core» and that key`,
        { field: 'dump' },
      )
    }
    const { keys } = await askedOf(host.name, connection.client.keys())
    if (keys.some((held) => keyText(held) === keyText(key))) return null
    return await this.#kms.fetch(key, { host: host.name, vm: null, user: principal.name, task: null })
  }

  async #dumpsOf(host: HostRow, connection: HostConnection): Promise<readonly CoreDump[]> {
    return (await askedOf(host.name, connection.client.dumps())).dumps
  }
}
