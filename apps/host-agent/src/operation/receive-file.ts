import { type Place, requireFreeSpace, writeFully } from '../data-path/index.ts'
import { ioError } from '../io-error.ts'
import { takeExactly } from './exact-content.ts'
import type { Work } from './work.ts'

/** Zero areas of this size, at its multiples, become holes. */
const blockSizeBytes = 65_536

const zeros = Buffer.alloc(blockSizeBytes)

/**
 * Writes a stream of exactly `sizeBytes` bytes to a new file of its owner's alone, synced; zero areas stay holes. It takes no
 * more than the pace lets it. Throws as `takeExactly` does, and AgentError `no-space`, `io`.
 */
export async function receiveFile(
  place: Place,
  sizeBytes: number,
  content: AsyncIterable<Uint8Array>,
  work: Pick<Work, 'signal' | 'progress' | 'pace'>,
): Promise<void> {
  const { pace, signal } = work
  await requireFreeSpace(place, sizeBytes)
  await using file = await attempt(() => place.create())
  await takeExactly(blocksOf(content), sizeBytes, work, async (block, offset) => {
    await pace.awaitTurn(block.length, () => signal.aborted)
    signal.throwIfAborted()
    if (Buffer.compare(block, zeros.subarray(0, block.length)) === 0) return
    await attempt(() => writeFully(file, block, offset))
  })
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
