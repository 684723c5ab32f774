import { rm } from 'node:fs/promises'
import { shapeCheck } from '@cryptvisor/rest'
import { AgentError } from './agent-error.ts'
import { AgentConfig, agentFiles, readConfig } from './config.ts'
import { writeAgentFile } from './write-agent-file.ts'

export interface ControlPlaneChange {
  /** The agent's own folder. */
  readonly folder: string
  /** Of the control plane's listener for hosts; `null`: it stays. */
  readonly url: string | null
  /** Works for whichever control plane it meets next, also one that was replaced by a restore. */
  readonly acceptOlder: boolean
}

const problemOf = shapeCheck(AgentConfig, '--url')

/**
 * Says where the control plane is, after it moved to another address. Identity and trust stay: it must be one with the CA that
 * this host was enrolled under. The agent takes it up at its next start. Throws AgentError `bad-usage`, `bad-config`.
 */
export async function setControlPlane({ folder, url, acceptOlder }: ControlPlaneChange): Promise<AgentConfig> {
  const config = await readConfig(folder)
  if (config === null)
    throw new AgentError('bad-config', `${folder}: this host is not enrolled; there is nothing to change`)
  const next: AgentConfig = url === null ? config : { ...config, controlPlaneUrl: url }
  if (problemOf(next) !== null || (url !== null && URL.parse(url) === null)) {
    throw new AgentError('bad-usage', '--url: expected https://HOST:PORT of the control plane’s listener for hosts')
  }
  await writeAgentFile(agentFiles.config(folder), Buffer.from(`${JSON.stringify(next, null, 2)}\n`))
  if (acceptOlder) await rm(agentFiles.epoch(folder), { force: true })
  return next
}
