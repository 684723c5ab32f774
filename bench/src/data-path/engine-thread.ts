/** A thread that encrypts 1 MiB in its cache again and again, for `engine.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { createXts, DataUnitMemory } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'

/** How long to encrypt before it is measured: until then the compiler works too. */
const warmUpMs = 150

// `engine.ts` starts this thread with it.
const { go, seconds } = workerData as { readonly go: SharedArrayBuffer; readonly seconds: number }

using key = Secret.random(64)
using memory = new DataUnitMemory({ sizeBytes: 1_048_576 })
using cipher = createXts(key, { memory })
const [buffer] = memory.buffers
if (buffer === undefined) throw new Error('no buffer')
for (const end = performance.now() + warmUpMs; performance.now() < end; ) cipher.encrypt(buffer, 0)
parentPort?.postMessage('ready')
Atomics.wait(new Int32Array(go), 0, 0)
let sizeBytes = 0
const start = performance.now()
const end = start + seconds * 1000
while (performance.now() < end) {
  cipher.encrypt(buffer, sizeBytes / 512)
  sizeBytes += buffer.length
}
parentPort?.postMessage(sizeBytes / ((performance.now() - start) / 1000))
