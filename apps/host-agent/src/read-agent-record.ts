import type { ShapeProblem } from '@cryptvisor/rest'
import { AgentError } from './agent-error.ts'
import { readAgentFile } from './config.ts'

interface AgentRecordOptions {
  readonly sizeMax?: number
  /** What to do about one that is none, as a sentence. */
  readonly cure?: string
}

/**
 * Reads a JSON file of the agent's own folder whose shape `problemOf` checks; `null` when it is not there. Throws AgentError `bad-config`
 * when it is none of ours.
 */
export async function readAgentRecord(
  path: string,
  problemOf: (value: unknown) => ShapeProblem | null,
  { sizeMax, cure }: AgentRecordOptions = {},
): Promise<unknown> {
  const bytes = await readAgentFile(path, sizeMax)
  if (bytes === null) return null
  const bad = (text: string, cause?: unknown) =>
    new AgentError('bad-config', cure === undefined ? `${path}: ${text}` : `${path}: ${text}. ${cure}`, { cause })
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw bad('expected JSON', cause)
  }
  const problem = problemOf(value)
  if (problem !== null) throw bad(problem.message)
  return value
}
