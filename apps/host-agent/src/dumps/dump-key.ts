import { KeyReference } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import { hostKeyPairOf } from '@cryptvisor/support-bundle'
import { type Static, Type } from 'typebox'
import { agentFiles } from '../config.ts'
import { readAgentRecord } from '../read-agent-record.ts'
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
  // Just checked against the schema.
  return (await readAgentRecord(agentFiles.dumpKey(folder), problemOf)) as DumpKey | null
}
