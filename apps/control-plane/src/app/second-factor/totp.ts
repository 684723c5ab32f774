import { createHmac, timingSafeEqual } from 'node:crypto'
import { toBase32 } from './base32.ts'

/** RFC 4226, 4: as long as the output of SHA-1. */
export const totpSecretSizeBytes = 20

const stepMs = 30_000
const digitCount = 6
/** Clocks may differ by one step (RFC 6238, 5.2). */
const stepsAside = 1

/** The code of a step (RFC 4226, 5.3, with SHA-1, which is the one that every authenticator has). */
export function codeOf(secret: Uint8Array, step: number, digits = digitCount): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const number = mac.readUInt32BE(mac.readUInt8(mac.length - 1) & 15) & 0x7fff_ffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/** The step that it is at `now` (RFC 6238, 4.2). */
export const stepAt = (now: number) => Math.floor(now / stepMs)

/** The step of which `code` is, around `now` and after `lastStep`; `null`: none. All are compared, whichever is right. */
export function stepOf(secret: Uint8Array, code: string, now: number, lastStep: number): number | null {
  const given = Buffer.from(code.padEnd(digitCount).slice(0, digitCount))
  if (code.length !== digitCount || given.length !== digitCount) return null
  let found: number | null = null
  for (let step = stepAt(now) - stepsAside; step <= stepAt(now) + stepsAside; step++) {
    const right = step >= 0 && timingSafeEqual(given, Buffer.from(codeOf(secret, step)))
    if (right && step > lastStep) found = step
  }
  return found
}

/** What authenticator apps read from a picture or a link (Google Authenticator's key URI format). */
export function totpUri(secret: Uint8Array, user: string): string {
  const parameters = `secret=${toBase32(secret)}&issuer=Cryptvisor&algorithm=SHA1&digits=${digitCount}&period=30`
  return `otpauth://totp/Cryptvisor:${encodeURIComponent(user)}?${parameters}`
}
