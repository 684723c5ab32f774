import type { Identity } from '@cryptvisor/pki'
import { AgentError } from './agent-error.ts'
import { type AgentConfig, agentFiles, readAgentFile, readConfig } from './config.ts'
import { readIdentity } from './identity-file.ts'

/** What enrolment left in the agent's own folder. The caller disposes of the identity. */
export interface Enrolled {
  readonly config: AgentConfig
  readonly identity: Identity
  /** The control plane's CA, PEM. */
  readonly ca: string
}

/** Reads what enrolment wrote. Throws AgentError `bad-config`, whose text says what to do. */
export async function readEnrolled(folder: string): Promise<Enrolled> {
  const config = await readConfig(folder)
  if (config === null) {
    throw new AgentError('bad-config', `${folder}: this host is not enrolled; run «host-agent enroll --dir ${folder}»`)
  }
  const ca = (await readRequired(agentFiles.ca(folder))).toString('utf8')
  const identity = await readIdentity(folder)
  if (identity === null) throw missing(agentFiles.identity(folder))
  return { config, ca, identity }
}

async function readRequired(path: string): Promise<Buffer> {
  const bytes = await readAgentFile(path)
  if (bytes === null) throw missing(path)
  return bytes
}

const missing = (path: string) =>
  new AgentError('bad-config', `${path}: is missing; enrol this host again («host-agent enroll --again»)`)
