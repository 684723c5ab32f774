import type { DescriptorTools } from '@cryptvisor/storage'
import { runTool } from '../process/tool.ts'

/** What flock(1) is told to exit with when somebody else holds the lock. */
const conflictExitCode = 75

/** Allocating writes nothing, yet some file systems take their time over terabytes. */
const allocateTimeoutMs = 600_000

/** What the storage does through tools of util-linux, which inherit the descriptor as their third. */
export const descriptorTools: DescriptorTools = {
  async lock(descriptor) {
    const args = ['--exclusive', '--nonblock', '--conflict-exit-code', String(conflictExitCode), '3']
    const { exitCode, stderr } = await runTool('flock', args, { fd: descriptor })
    if (exitCode === 0) return true
    if (exitCode === conflictExitCode) return false
    throw systemError('ENOLCK', stderr)
  },

  async allocate(descriptor, sizeBytes) {
    if (sizeBytes === 0) return true
    // Through /proc, since fallocate(1) takes no descriptor; what it opens there is the very same file.
    const args = ['--length', String(sizeBytes), '/proc/self/fd/3']
    const { exitCode, stderr } = await runTool('fallocate', args, { fd: descriptor, timeoutMs: allocateTimeoutMs })
    if (exitCode === 0) return true
    if (/No space left|Disk quota exceeded/.test(stderr)) throw systemError('ENOSPC', stderr)
    return false
  },
}

function systemError(code: string, stderr: string): Error {
  return Object.assign(new Error(`${code}: ${stderr}`), { code })
}
