import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { AgentError } from '../agent-error.ts'
import { errnoOf, ioError } from '../io-error.ts'
import { runTool } from '../process/tool.ts'
import type { Folder } from './folder.ts'

/** Its name in the VM's folder. */
export const vmLockName = 'vm.lock'

/** What flock(1) is told to exit with when somebody else holds the lock. */
const conflictExitCode = 75

/**
 * Takes `vm.lock`, so that no other host works on the VM; disposing of the result gives it back. flock(1) locks the file
 * description that it inherits from us, which also ends with us: after a crash nobody waits. Throws AgentError `vm-busy`
 * when another holds it, `io` where the storage has no locks.
 */
export async function lockVm(folder: Folder): Promise<AsyncDisposable> {
  const path = `${folder.path}/${vmLockName}`
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(folder.at(vmLockName), flags, 0o600).catch((cause: unknown) => {
    if (errnoOf(cause) === 'ELOOP') throw new AgentError('datastore-mismatch', `${path}: expected no link`, { cause })
    throw ioError(`${path}: cannot be opened`, cause)
  })
  try {
    const { exitCode, stderr } = await runTool(
      'flock',
      ['--exclusive', '--nonblock', '--conflict-exit-code', String(conflictExitCode), '3'],
      { fd: file.fd },
    )
    if (exitCode === conflictExitCode) throw busy(path)
    if (exitCode !== 0) throw new AgentError('io', `${path}: this storage gives no lock: ${stderr}`)
    const [own, there] = [await file.stat(), await lstat(folder.at(vmLockName)).catch(() => null)]
    if (there === null || there.ino !== own.ino || there.dev !== own.dev) throw busy(path)
    return { [Symbol.asyncDispose]: () => file.close() }
  } catch (error) {
    await file.close()
    throw error
  }
}

function busy(path: string): AgentError {
  return new AgentError('vm-busy', `${path}: another host or operation works on this VM; wait until it is done`)
}
