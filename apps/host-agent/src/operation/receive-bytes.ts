import { takeExactly } from './exact-content.ts'
import type { Work } from './work.ts'

/**
 * Takes a stream of exactly `sizeBytes` bytes into memory, which the caller limits. Throws as `takeExactly` does.
 */
export async function receiveBytes(
  sizeBytes: number,
  content: AsyncIterable<Uint8Array>,
  work: Pick<Work, 'signal' | 'progress'>,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  await takeExactly(content, sizeBytes, work, (chunk, offset) => bytes.set(chunk, offset))
  return bytes
}
