import type { ShapeProblem } from '@cryptvisor/rest'
import { AgentError } from '../agent-error.ts'
import type { Folder } from './folder.ts'

/**
 * Reads a JSON file of a VM's folder, of at most `sizeMax` bytes, whose shape `problemOf` checks; `null` when there is none.
 * Throws AgentError `datastore-mismatch` when it is not one of ours.
 */
export async function readJsonFile(
  folder: Folder,
  name: string,
  sizeMax: number,
  problemOf: (value: unknown) => ShapeProblem | null,
): Promise<unknown> {
  const bytes = await folder.read(name, sizeMax)
  if (bytes === null) return null
  const path = `${folder.path}/${name}`
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AgentError('datastore-mismatch', `${path}: expected JSON`, { cause })
  }
  const problem = problemOf(value)
  if (problem !== null) throw new AgentError('datastore-mismatch', `${path}: ${problem.message}`)
  return value
}
