import { KeyReference } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import { hostKeyPairOf } from '@cryptvisor/support-bundle'
import { type Static, Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { agentFiles, readAgentFile } from '../config.ts'
import { writeAgentFile } from '../write-agent-file.ts'

/** What lies on the disk for whoever seals a core dump: nothing secret. */
const DumpKey = Type.Object(
  { key: KeyReference, publicKey: Type.String({ pattern: '^[0-9A-Za-z_-]{43}$' }) },
  { additionalProperties: false },
)
export type DumpKey = Static<typeof DumpKey>

const problemOf = shapeCheck(DumpKey, 'dump-key.json')

/** Leaves the public part for helpers to seal with; that is on disk when it resolves. */
export async function writeDumpKey(folder: string, key: KeyReference, hostKey: Secret): Promise<void> {
  const publicKey = Buffer.from(hostKeyPairOf(hostKey).publicKey).toString('base64url')
  await writeAgentFile(agentFiles.dumpKey(folder), Buffer.from(`${JSON.stringify({ key, publicKey })}\n`))
}

/** `null`: this host was never made crypto-safe. Throws AgentError `bad-config`. */
export async function readDumpKey(folder: string): Promise<DumpKey | null> {
  const path = agentFiles.dumpKey(folder)
  const bytes = await readAgentFile(path)
  if (bytes === null) return null
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AgentError('bad-config', `${path}: expected JSON`, { cause })
  }
  const problem = problemOf(value)
  if (problem !== null) throw new AgentError('bad-config', `${path}: ${problem.message}`)
  // Just checked against the schema.
  return value as DumpKey
}
