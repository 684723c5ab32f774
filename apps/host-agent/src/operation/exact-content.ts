import { AgentError } from '../agent-error.ts'
import type { Work } from './work.ts'

/**
 * Hands a stream of exactly `sizeBytes` bytes on, chunk by chunk with the offset of each. Throws AgentError `bad-image` for
 * another size, `io` when it breaks off; the signal's reason when it is aborted; what `take` throws as an AgentError.
 */
export async function takeExactly(
  content: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  { signal, progress }: Pick<Work, 'signal' | 'progress'>,
  take: (chunk: Uint8Array, offset: number) => Promise<void> | void,
): Promise<void> {
  let receivedBytes = 0
  try {
    for await (const chunk of content) {
      signal.throwIfAborted()
      if (receivedBytes + chunk.length > sizeBytes)
        throw new AgentError('bad-image', `more than ${sizeBytes} bytes came`)
      await take(chunk, receivedBytes)
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
  if (receivedBytes !== sizeBytes) {
    throw new AgentError('bad-image', `the content ended after ${receivedBytes} bytes, expected ${sizeBytes}`)
  }
}
