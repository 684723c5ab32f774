import type { HostRow } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'

/** Notices when this control plane was replaced: when a host has met a newer one of the same installation. */
export class Supersession {
  readonly #events: EventLog
  readonly #epoch: number
  readonly #hosts = new Set<string>()

  constructor(events: EventLog, epoch: number) {
    this.#events = events
    this.#epoch = epoch
  }

  /** Names of the hosts that said so. */
  get hosts(): readonly string[] {
    return [...this.#hosts]
  }

  /** Throws `invalid`, with an event the first time, when the host has met a newer control plane (`epoch`). */
  async check({ name }: Pick<HostRow, 'name'>, epoch: number): Promise<void> {
    if (epoch <= this.#epoch) return
    const text = `Host ${name} has met a control plane of this installation that was restored at ${new Date(epoch).toISOString()}; this one is older (epoch ${this.#epoch}), so the host does not work for it. Stop this control plane, or, if it is the right one, run «host-agent set-control-plane --accept-older» on the host`
    if (!this.#hosts.has(name)) {
      this.#hosts.add(name)
      await this.#events.record({ type: 'system.superseded', host: name, text })
    }
    throw new ControlPlaneError('invalid', text)
  }
}
