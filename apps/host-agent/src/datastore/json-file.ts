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
  return bytes === null ? null : parseJson(bytes, `${folder.path}/${name}`, problemOf)
}

/** The JSON in `bytes`, whose shape `problemOf` checks. Throws AgentError `datastore-mismatch`; `path` is for its text. */
export function parseJson(bytes: Buffer, path: string, problemOf: (value: unknown) => ShapeProblem | null): unknown {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    // The parser's own error quotes the text, which may have been sealed.
    throw new AgentError('datastore-mismatch', `${path}: expected JSON`)
  }
  const problem = problemOf(value)
  if (problem !== null) throw new AgentError('datastore-mismatch', `${path}: ${problem.message}`)
  return value
}
