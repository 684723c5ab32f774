import { shapeCheck } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { agentFiles } from './config.ts'
import { readAgentRecord } from './read-agent-record.ts'
import { writeAgentFile } from './write-agent-file.ts'

const EpochFile = Type.Object({ epoch: Type.Integer({ minimum: 0 }) }, { additionalProperties: false })
const problemOf = shapeCheck(EpochFile, 'control-plane-epoch.json')

/**
 * The highest epoch of a control plane that this agent has met. A control plane that is restored from a backup has a higher
 * one than it had before; what runs on with the lower one was replaced, and this host does not work for it.
 */
export class ControlPlaneEpoch {
  readonly #path: string
  #known: number

  private constructor(path: string, known: number) {
    this.#path = path
    this.#known = known
  }

  /** Reads what an earlier run has met. Throws AgentError `bad-config`. */
  static async open(folder: string): Promise<ControlPlaneEpoch> {
    const path = agentFiles.epoch(folder)
    // Just checked against the schema.
    const found = (await readAgentRecord(path, problemOf)) as { epoch: number } | null
    return new ControlPlaneEpoch(path, found?.epoch ?? 0)
  }

  get known(): number {
    return this.#known
  }

  /** Met a control plane with `epoch`: `false` when it was replaced by another one; else that is on disk when it resolves. */
  async meet(epoch: number): Promise<boolean> {
    if (epoch < this.#known) return false
    if (epoch > this.#known) {
      await writeAgentFile(this.#path, Buffer.from(`${JSON.stringify({ epoch })}\n`))
      this.#known = epoch
    }
    return true
  }
}
