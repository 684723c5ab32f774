import { Secret, secretBytes } from '@cryptvisor/secret'
import { RestError } from './rest-error.ts'

/**
 * Reads an `application/octet-stream` body straight into a `Secret` and wipes the chunks that it came in. Throws a
 * `RestError` when the body is not a stream, or has another size than `sizeBytes`.
 */
export async function readSecret(body: unknown, sizeBytes: number): Promise<Secret> {
  if (!isChunks(body)) {
    throw new RestError(415, 'wrong-content-type', 'content-type: expected application/octet-stream', {
      field: 'content-type',
    })
  }
  const bytes = secretBytes(sizeBytes)
  let filled = 0
  try {
    for await (const chunk of body) {
      try {
        if (filled + chunk.length > sizeBytes) throw wrongSize(sizeBytes)
        bytes.set(chunk, filled)
        filled += chunk.length
      } finally {
        chunk.fill(0)
      }
    }
    if (filled !== sizeBytes) throw wrongSize(sizeBytes)
    return Secret.from(bytes)
  } finally {
    bytes.fill(0)
  }
}

function wrongSize(sizeBytes: number): RestError {
  return new RestError(400, 'invalid-request', `body: expected exactly ${sizeBytes} bytes`, { field: 'body' })
}

function isChunks(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body
}
