import { MasterSecret, overwriteFreed, type Qmp, QmpError } from '@cryptvisor/qmp'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { HandoverFile } from './handover-file.ts'

/** Descriptors that a QEMU is born with: 0 to 2 are nothing and its log, this one is the file by which master secrets come to it. */
export const handoverDescriptor = 3

const objectsPath = '/objects'
const secretType = 'child<secret>'

/**
 * Hands secrets to one QEMU, for no longer than it takes to open a disk with them. Each time QEMU gets a new master secret by way of its
 * file, and over its monitor what is wrapped under that: neither alone is of use to anybody.
 */
export class SecretHandover {
  readonly #pid: number
  readonly #qmp: Qmp
  #count = 0
  #last: Promise<unknown> = Promise.resolve()

  /** `qmp` is a connection to the QEMU `pid`; there is one handover for each QEMU. */
  constructor(pid: number, qmp: Qmp) {
    this.#pid = pid
    this.#qmp = qmp
  }

  /**
   * QEMU has `secrets`, under the IDs that they are listed by, while `use` runs, and neither them nor a trace of them afterwards, whether
   * it succeeds or not. One at a time: others wait. Rejects as `use` does, or with QmpError. When the connection ends meanwhile, another one
   * begins with `takeBackAll`.
   */
  async lend<Result>(secrets: Readonly<Record<string, Secret>>, use: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => this.#lend(secrets, use))
    this.#last = turn.catch(() => undefined)
    return await turn
  }

  /** Takes away what an agent that was killed in the middle of a handover left in QEMU. Before anything is lent. */
  async takeBackAll(): Promise<void> {
    using file = HandoverFile.of(this.#pid, handoverDescriptor)
    file.clear()
    const left = await this.#secretIds()
    if (left.length > 0) await this.#takeBack(left)
  }

  async #lend<Result>(secrets: Readonly<Record<string, Secret>>, use: () => Promise<Result>): Promise<Result> {
    const masterId = `master-${++this.#count}`
    using master = MasterSecret.create()
    const added: string[] = []
    try {
      added.unshift(masterId)
      await this.#addMaster(masterId, master)
      for (const [id, secret] of Object.entries(secrets)) {
        added.unshift(id)
        await this.#qmp.addSecret({ id, masterId }, secret, master)
      }
      return await use()
    } finally {
      await this.#takeBack(added)
    }
  }

  async #addMaster(id: string, master: MasterSecret): Promise<void> {
    using file = HandoverFile.of(this.#pid, handoverDescriptor)
    using _filled = file.fill(master)
    await this.#qmp.execute('object-add', {
      'qom-type': 'secret',
      id,
      format: 'raw',
      file: `/proc/self/fd/${handoverDescriptor}`,
    })
  }

  async #takeBack(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      try {
        await this.#qmp.execute('object-del', { id })
      } catch (error) {
        // One that was never made is not there, and that is looked at below.
        if (!(error instanceof QmpError) || error.code !== 'refused') throw error
      }
    }
    await overwriteFreed(this.#qmp)
    const left = (await this.#secretIds()).filter((id) => ids.includes(id))
    if (left.length > 0)
      throw new AgentError(
        'internal',
        `QEMU ${this.#pid} did not let go of the secrets ${left.join(', ')}; it must be ended`,
      )
  }

  async #secretIds(): Promise<string[]> {
    const objects = await this.#qmp.execute('qom-list', { path: objectsPath })
    return objects.filter(({ type }) => type === secretType).map(({ name }) => name)
  }
}
