/** A worker thread that reads one image, piece by piece as it is asked. */
import { parentPort, workerData } from 'node:worker_threads'
import { DataPathError } from './data-path-error.ts'
import { ImageReader } from './image-reader.ts'
import type { ReaderData, ReaderMessage, ReaderRequest } from './reader-message.ts'
import { filesOfDescriptors } from './thread-files.ts'

// `open-reading.ts` starts this file, with such data.
const { job, files } = workerData as ReaderData
const say = (message: ReaderMessage, transfer: ArrayBuffer[] = []) => parentPort?.postMessage(message, transfer)

/** Says that something failed; anything but a failure of the data path is a breakdown, and reaches the main thread as one. */
function fail(error: unknown): void {
  if (!(error instanceof DataPathError)) throw error
  say({ kind: 'failed', code: error.code, message: error.message })
}

try {
  const reader = new ImageReader(job, filesOfDescriptors(files))
  say({ kind: 'ready', sizeBytes: reader.sizeBytes })
  parentPort?.on('message', (request: ReaderRequest) => {
    if (request === 'end') {
      reader[Symbol.dispose]()
      parentPort?.close()
      return
    }
    const bytes = new Uint8Array(request.sizeBytes)
    try {
      reader.read(request.offsetBytes, bytes)
      say({ kind: 'bytes', bytes }, [bytes.buffer])
    } catch (error) {
      fail(error)
    }
  })
} catch (error) {
  fail(error)
}
