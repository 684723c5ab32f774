import type { FileHandle } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { DataPathError } from './data-path-error.ts'
import { type Image, offsetBytesOf } from './image.ts'
import type { Job, JobFile, JobMessage } from './job.ts'

const workerScript = new URL('./worker.ts', import.meta.url)

/** An image whose file is open. */
export interface OpenImage {
  readonly image: Image
  readonly handle: FileHandle
  readonly direct?: boolean
}

/** How the caller follows and stops a job. */
export interface JobOptions {
  readonly signal: AbortSignal
  onProgress(doneBytes: number): void
}

/**
 * Does a job in a worker thread, so that the event loop goes on. Settles only after the thread has ended: then nothing
 * uses the files any more, and the shared memory with the volume keys is wiped, however it ended. Rejects with a
 * DataPathError: the worker's own, `aborted`, or `worker-failed` when the thread broke down. `script` is what the
 * thread runs; another one is for tests.
 */
export async function startJob(
  task: Job['task'],
  source: OpenImage,
  target: OpenImage,
  { signal, onProgress }: JobOptions,
  script = workerScript,
): Promise<void> {
  const stop = new SharedArrayBuffer(4)
  const files = [jobFileOf(source), jobFileOf(target)] as const
  const halt = () => Atomics.store(new Int32Array(stop), 0, 1)
  signal.addEventListener('abort', halt)
  if (signal.aborted) halt()
  try {
    const job: Job = { task, source: files[0], target: files[1], sizeBytes: source.image.sizeBytes, stop }
    await outcomeOf(new Worker(script, { workerData: job, name: 'data-path' }), {
      onProgress,
      halt,
    })
  } finally {
    signal.removeEventListener('abort', halt)
    for (const { key } of files) if (key !== null) new Uint8Array(key).fill(0)
  }
}

async function outcomeOf(
  worker: Worker,
  { onProgress, halt }: { onProgress(doneBytes: number): void; halt(): void },
): Promise<void> {
  let done = false
  let failure: unknown = null
  worker.on('message', (message: JobMessage) => {
    switch (message.kind) {
      case 'progress':
        try {
          onProgress(message.doneBytes)
        } catch (error) {
          failure ??= error
          halt()
        }
        break
      case 'done':
        done = true
        break
      case 'failed':
        failure ??= new DataPathError(message.code, message.message)
        break
    }
  })
  worker.on('error', (cause) => {
    failure ??= new DataPathError('worker-failed', 'the worker thread of the data path broke down', { cause })
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  worker.on('exit', () => resolve())
  await promise
  if (failure !== null) throw failure
  if (!done) throw new DataPathError('worker-failed', 'the worker thread of the data path ended before its job')
}

function jobFileOf({ image, handle, direct = false }: OpenImage): JobFile {
  return {
    fd: handle.fd,
    path: image.path,
    offsetBytes: offsetBytesOf(image),
    key: image.kind === 'luks' ? shared(image) : null,
    direct,
  }
}

/** A copy of the volume key that the worker takes over and that both threads can wipe. */
function shared({ volumeKey }: Extract<Image, { kind: 'luks' }>): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(volumeKey.sizeBytes)
  volumeKey.expose((bytes) => new Uint8Array(memory).set(bytes))
  return memory
}
