import { SealedFileError, unsealStream } from '@cryptvisor/sealed-file'
import type { Secret } from '@cryptvisor/secret'
import { parseSealedHeader, type SealedBundleHeader, sealedHeaderSizeMax } from './sealed-bundle.ts'
import { SupportBundleError } from './support-bundle-error.ts'

/**
 * Opens a sealed bundle as it is read; `bundleKeyFor` gets its key by its header, and the key is disposed of here. Throws
 * SupportBundleError `not-a-bundle`, and `wrong-key` where it was changed or cut: nothing of it is to be used then.
 */
export async function* openSealed(
  content: AsyncIterable<Uint8Array>,
  bundleKeyFor: (header: SealedBundleHeader) => Promise<Secret>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = content[Symbol.asyncIterator]()
  try {
    let beginning = Buffer.alloc(0)
    while (!beginning.includes(0x0a) && beginning.length < sealedHeaderSizeMax) {
      const { done, value } = await chunks.next()
      if (done === true) break
      beginning = Buffer.concat([beginning, value])
    }
    const { line, header } = parseSealedHeader(beginning)
    using key = await bundleKeyFor(header)
    const rest = async function* () {
      yield beginning.subarray(line.length)
      yield* { [Symbol.asyncIterator]: () => chunks }
    }
    yield* unsealStream({ key, associatedData: line }, rest())
  } catch (cause) {
    if (!(cause instanceof SealedFileError)) throw cause
    throw new SupportBundleError('wrong-key', `it was changed or cut: ${cause.message}`, { cause })
  } finally {
    // Whoever refuses its first line lets go of the file, too.
    await chunks.return?.()
  }
}
