import { chmod } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { AgentError } from '../agent-error.ts'
import { agentFiles } from '../config.ts'
import { writeAgentFile } from '../write-agent-file.ts'

/** The kernel takes 127 bytes (CORENAME_MAX_SIZE, core(5)). */
const corePatternSizeMax = 127

/** So many dumps are taken at once; the kernel waits for each helper, and drops what is beyond. */
const corePipeLimit = 4

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url))

/**
 * Puts a program into the agent's folder that seals the core dump on its standard input: its path is short enough for the
 * kernel's setting, and it knows the folder. Changes no setting of the machine.
 */
export async function writeCoreDumpHelper(folder: string): Promise<void> {
  const words = [process.execPath, mainPath, 'core-dump', '--dir', folder].map(quoted).join(' ')
  const path = agentFiles.coreDumpHelper(folder)
  await writeAgentFile(path, Buffer.from(`#!/bin/sh\nexec ${words} --pid="$1" --command="$2"\n`))
  await chmod(path, 0o700)
}

/** What an administrator puts into a file of /etc/sysctl.d. Throws AgentError `bad-config` for a folder whose name is too long. */
export function corePatternSettings(folder: string): string {
  const pattern = `|${agentFiles.coreDumpHelper(folder)} %P %e`
  if (Buffer.byteLength(pattern) > corePatternSizeMax || /\s/.test(agentFiles.coreDumpHelper(folder))) {
    throw new AgentError(
      'bad-config',
      `${folder}: the kernel takes ${corePatternSizeMax} bytes and no blank in the path: keep the agent in a shorter folder`,
    )
  }
  return `kernel.core_pattern=${pattern}\nkernel.core_pipe_limit=${corePipeLimit}\n`
}

/** One word for the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
