import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Qmp, type QmpOptions } from './qmp.ts'
import { QmpError } from './qmp-error.ts'

/** What fits into an address of a UNIX socket (unix(7)), without the zero byte at its end. */
const socketPathSizeMax = 107
const retryMs = 10

/** A QEMU that was just started makes its socket within milliseconds; a host that starts a hundred at once takes longer. */
export const connectWithinMs = 10_000

/** Reasons to try again: the socket is not there yet, or nobody listens yet. */
const notYet: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'EAGAIN'])

export interface ConnectOptions extends QmpOptions {
  /** How long to try again where nobody listens yet; 0: not at all. */
  readonly withinMs?: number
  readonly signal?: AbortSignal
}

/** Connects to the monitor of a QEMU that listens at the UNIX socket `path`. Rejects with QmpError `connect-failed`. */
export async function connectQmp(path: string, options: ConnectOptions = {}): Promise<Qmp> {
  const deadline = performance.now() + (options.withinMs ?? connectWithinMs)
  for (;;) {
    try {
      return await Qmp.open(await connectSocket(path), options)
    } catch (cause) {
      if (cause instanceof QmpError) throw cause
      if (options.signal?.aborted === true)
        throw new QmpError('aborted', `${path}: nobody waits for it any more`, { cause })
      const code = codeOf(cause)
      if (!notYet.has(code) || performance.now() >= deadline) {
        throw new QmpError('connect-failed', `${path}: no QEMU listens there (${code})`, { cause })
      }
      await sleep(retryMs)
    }
  }
}

/** Connects to the UNIX socket `path`, of whatever length: a long one is reached through its folder's descriptor. Rejects as the system does. */
export async function connectSocket(path: string): Promise<Socket> {
  if (Buffer.byteLength(path) <= socketPathSizeMax) return await connected(path)
  await using folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  return await connected(`/proc/self/fd/${folder.fd}/${basename(path)}`)
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
}
