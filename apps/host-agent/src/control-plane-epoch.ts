import { shapeCheck } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { AgentError } from './agent-error.ts'
import { agentFiles, readAgentFile } from './config.ts'
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
    const bytes = await readAgentFile(path)
    if (bytes === null) return new ControlPlaneEpoch(path, 0)
    let value: unknown
    try {
      value = JSON.parse(bytes.toString('utf8'))
    } catch (cause) {
      throw new AgentError('bad-config', `${path}: expected JSON`, { cause })
    }
    const problem = problemOf(value)
    if (problem !== null) throw new AgentError('bad-config', `${path}: ${problem.message}`)
    // Just checked against the schema.
    return new ControlPlaneEpoch(path, (value as { epoch: number }).epoch)
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
