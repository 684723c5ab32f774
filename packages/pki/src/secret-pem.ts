import { Secret } from '@cryptvisor/secret'

/** RFC 7468, 2: base64 lines have 64 characters, which stand for 48 bytes. */
const lineBytes = 48
const newline = 0x0a
const padding = 0x3d

/**
 * Writes DER down as PEM (RFC 7468) and wipes it. It works byte by byte in one buffer of its own: neither a string nor
 * a look-up at an address that depends on the key comes of it.
 */
export function secretPem(label: string, der: Uint8Array): Secret {
  const begin = Buffer.from(`-----BEGIN ${label}-----\n`, 'latin1')
  const end = Buffer.from(`-----END ${label}-----\n`, 'latin1')
  const lineCount = Math.ceil(der.length / lineBytes)
  const pem = new Uint8Array(begin.length + 4 * Math.ceil(der.length / 3) + lineCount + end.length)
  pem.set(begin)
  let at = begin.length
  for (let line = 0; line < der.length; line += lineBytes) {
    at = encodeBase64(der.subarray(line, line + lineBytes), pem, at)
    pem[at++] = newline
  }
  pem.set(end, at)
  der.fill(0)
  return Secret.from(pem)
}

/** RFC 4648, 4. Gives where in `target` the text ends. */
function encodeBase64(source: Uint8Array, target: Uint8Array, start: number): number {
  let at = start
  for (let index = 0; index < source.length; index += 3) {
    const [first = 0, second = 0, third = 0] = source.subarray(index, index + 3)
    const here = source.length - index
    target[at++] = digit(first >> 2)
    target[at++] = digit(((first & 0x03) << 4) | (second >> 4))
    target[at++] = here < 2 ? padding : digit(((second & 0x0f) << 2) | (third >> 6))
    target[at++] = here < 3 ? padding : digit(third & 0x3f)
  }
  return at
}

/** `A`-`Z`, `a`-`z`, `0`-`9`, `+`, `/` without a table: each difference comes in where `value` has passed its border. */
function digit(value: number): number {
  return (
    0x41 +
    value +
    (((25 - value) >> 8) & 6) -
    (((51 - value) >> 8) & 75) -
    (((61 - value) >> 8) & 15) +
    (((62 - value) >> 8) & 3)
  )
}
