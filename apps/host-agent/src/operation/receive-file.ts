import { AgentError } from '../agent-error.ts'
import { type Pace, type Place, requireFreeSpace, writeFully } from '../data-path/index.ts'
import { ioError } from '../io-error.ts'
import type { Progress } from './progress.ts'

/** Zero areas of this size, at its multiples, become holes. */
const blockSizeBytes = 65_536

const zeros = Buffer.alloc(blockSizeBytes)

/**
 * Writes a stream of exactly `sizeBytes` bytes to a new file of its owner's alone, synced; zero areas stay holes. It takes no more than
 * the pace lets it. Throws
 * AgentError: `bad-image` for another size, `no-space`, `io`; the signal's reason when it is aborted.
 */
export async function receiveFile(
  place: Place,
  sizeBytes: number,
  content: AsyncIterable<Uint8Array>,
  { signal, progress, pace }: { readonly signal: AbortSignal; readonly progress: Progress; readonly pace: Pace },
): Promise<void> {
  await requireFreeSpace(place, sizeBytes)
  await using file = await attempt(() => place.create())
  let receivedBytes = 0
  try {
    for await (const block of blocksOf(content)) {
      await pace.awaitTurn(block.length, () => signal.aborted)
      signal.throwIfAborted()
      if (receivedBytes + block.length > sizeBytes)
        throw new AgentError('bad-image', `more than ${sizeBytes} bytes came`)
      if (!block.equals(zeros.subarray(0, block.length))) {
        await attempt(() => writeFully(file, block, receivedBytes))
      }
      receivedBytes += block.length
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
  await attempt(async () => {
    await file.truncate(sizeBytes)
    await file.sync()
  })
}

/** The same bytes in blocks of `blockSizeBytes`, the last one shorter. */
async function* blocksOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const block = Buffer.alloc(blockSizeBytes)
  let filled = 0
  for await (const chunk of content) {
    for (let offset = 0; offset < chunk.length; ) {
      const part = chunk.subarray(offset, offset + blockSizeBytes - filled)
      block.set(part, filled)
      filled += part.length
      offset += part.length
      if (filled === blockSizeBytes) {
        yield block
        filled = 0
      }
    }
  }
  if (filled > 0) yield block.subarray(0, filled)
}

async function attempt<Result>(action: () => Promise<Result>): Promise<Result> {
  try {
    return await action()
  } catch (cause) {
    throw ioError('the content cannot be written', cause)
  }
}
