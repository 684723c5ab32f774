import { RestError } from '@cryptvisor/rest'

/**
 * How long a secret is that comes as a body (RFC 9110, 8.6). Throws for a body that does not say so, is empty, or has more
 * than `sizeMax` bytes: nothing of it is read then. `what` ends the error's text.
 */
export function secretSizeOf(contentLength: string | undefined, sizeMax: number, what: string): number {
  const sizeBytes = Number(contentLength ?? Number.NaN)
  if (sizeBytes >= 1 && sizeBytes <= sizeMax) return sizeBytes
  const message = `content-length: expected 1 to ${sizeMax} bytes: ${what}`
  throw new RestError(sizeBytes > sizeMax ? 413 : 400, 'invalid-request', message, { field: 'content-length' })
}
