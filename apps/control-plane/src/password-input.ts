import { SetUpError } from './set-up-error.ts'

/** More than any password has, in bytes. */
const lineSizeMax = 2048

/** Reads one line: the password. Throws `bad-password` when there is none, or it is longer than any password. */
export async function readPassword(input: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of input) {
      chunks.push(chunk)
      size += chunk.length
      if (chunk.includes(0x0a) || size > lineSizeMax) break
    }
    const [line = ''] = Buffer.concat(chunks).toString('utf8').split('\n', 1)
    if (size > lineSizeMax)
      throw new SetUpError('bad-password', 'standard input: the first line is too long for a password')
    if (line === '')
      throw new SetUpError('bad-password', 'standard input: expected the administrator’s password, one line')
    return line.replace(/\r$/, '')
  } finally {
    for (const chunk of chunks) chunk.fill(0)
  }
}
