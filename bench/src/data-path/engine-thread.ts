/** A thread that encrypts again and again in its processor's cache, for `engine.ts`. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { createXts, DataUnitMemory } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'

/** What a thread is to do. `ours`: units of 512 bytes, 1 MiB at once; `node`: single units of 16 KiB as node:crypto has them. */
export interface EngineWork {
  readonly go: SharedArrayBuffer
  readonly seconds: number
  readonly what: 'ours' | 'node'
}

/** How long to encrypt before it is measured: until then the compiler works too. */
const warmUpMs = 150

// `engine.ts` starts this thread with it.
const { go, seconds, what } = workerData as EngineWork

using stack = new DisposableStack()
const encrypt = what === 'ours' ? ours() : nodes()
for (const end = performance.now() + warmUpMs; performance.now() < end; ) encrypt(0)
parentPort?.postMessage('ready')
Atomics.wait(new Int32Array(go), 0, 0)
let sizeBytes = 0
const start = performance.now()
const end = start + seconds * 1000
while (performance.now() < end) sizeBytes += encrypt(sizeBytes / 512)
parentPort?.postMessage(sizeBytes / ((performance.now() - start) / 1000))

function ours(): (sector: number) => number {
  const memory = stack.use(new DataUnitMemory({ sizeBytes: 1_048_576 }))
  const cipher = stack.use(createXts(stack.use(Secret.random(64)), { memory }))
  const [buffer] = memory.buffers
  if (buffer === undefined) throw new Error('no buffer')
  return (sector) => {
    cipher.encrypt(buffer, sector)
    return buffer.length
  }
}

function nodes(): () => number {
  // A key of nothing.
  const [key, tweak, unit] = [randomBytes(64), Buffer.alloc(16), Buffer.alloc(16_384)]
  return () => createCipheriv('aes-256-xts', key, tweak).update(unit).length
}
