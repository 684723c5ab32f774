import { Secret } from '@cryptvisor/secret'
import { PkiError } from '../pki-error.ts'

/**
 * A password in UTF-8 as PKCS#12 takes it for its MAC: UTF-16, big-endian, with two zero bytes at its end (RFC 7292, B.1).
 * Byte by byte, and no string is made of it. Throws `bad-password` for what is not UTF-8.
 */
export function bmpPassword(password: Secret): Secret {
  return password.expose((bytes) => {
    const units = new Uint8Array(2 * bytes.length + 2)
    let size = 0
    const push = (unit: number) => {
      units[size++] = unit >> 8
      units[size++] = unit & 0xff
    }
    try {
      for (let index = 0; index < bytes.length; ) {
        const { point, sizeBytes } = pointAt(bytes, index)
        index += sizeBytes
        if (point < 0x10000) push(point)
        else {
          push(0xd800 + ((point - 0x10000) >> 10))
          push(0xdc00 + ((point - 0x10000) & 0x3ff))
        }
      }
      return Secret.from(units.slice(0, size + 2))
    } finally {
      units.fill(0)
    }
  })
}

/** The least that a sequence of so many bytes may stand for (RFC 3629, 3): anything lower is written too long. */
const leastPoints = [0, 0, 0x80, 0x800, 0x10000] as const

function pointAt(bytes: Uint8Array, index: number): { point: number; sizeBytes: number } {
  const lead = bytes[index] ?? 0
  if (lead < 0x80) return { point: lead, sizeBytes: 1 }
  const sizeBytes = lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 ? 3 : 2
  if (lead < 0xc0 || lead >= 0xf8) throw notText()
  let point = lead & (0xff >> (sizeBytes + 1))
  for (let next = 1; next < sizeBytes; next++) {
    const byte = bytes[index + next] ?? 0
    if ((byte & 0xc0) !== 0x80) throw notText()
    point = (point << 6) | (byte & 0x3f)
  }
  const isSurrogate = point >= 0xd800 && point < 0xe000
  if (point < (leastPoints[sizeBytes] ?? 0) || point > 0x10ffff || isSurrogate) throw notText()
  return { point, sizeBytes }
}

function notText(): PkiError {
  return new PkiError('bad-password', 'password: expected text in UTF-8')
}
