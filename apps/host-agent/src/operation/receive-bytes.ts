import { AgentError } from '../agent-error.ts'
import type { Progress } from './progress.ts'

/**
 * Takes a stream of exactly `sizeBytes` bytes into memory, which the caller limits. Throws AgentError: `bad-image` for another size,
 * `io` when it breaks off; the signal's reason when it is aborted.
 */
export async function receiveBytes(
  sizeBytes: number,
  content: AsyncIterable<Uint8Array>,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  let receivedBytes = 0
  try {
    for await (const chunk of content) {
      signal.throwIfAborted()
      if (receivedBytes + chunk.length > sizeBytes)
        throw new AgentError('bad-image', `more than ${sizeBytes} bytes came`)
      bytes.set(chunk, receivedBytes)
      receivedBytes += chunk.length
      progress.advance('content', receivedBytes)
    }
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof AgentError) throw cause
    throw new AgentError('io', `the content broke off after ${receivedBytes} of ${sizeBytes} bytes; send it again`, {
      cause,
    })
  }
  if (receivedBytes === sizeBytes) return bytes
  throw new AgentError('bad-image', `the content ended after ${receivedBytes} bytes, expected ${sizeBytes}`)
}
