import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { secretPem } from './secret-pem.ts'

/** What Node's own base64 makes of it. */
function expected(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN TEST-----', ...lines, '-----END TEST-----', ''].join('\n')
}

test('PEM is the same as by way of a string, at every length, and the source is wiped', () => {
  const everyDigit = Buffer.concat([randomBytes(3), Buffer.from(Array.from({ length: 256 }, (_, index) => index))])
  for (let sizeBytes = 0; sizeBytes <= everyDigit.length; sizeBytes++) {
    const der = Uint8Array.from(everyDigit.subarray(0, sizeBytes))
    using pem = secretPem('TEST', der)
    assert.equal(
      pem.expose((bytes) => Buffer.from(bytes).toString('latin1')),
      expected(everyDigit.subarray(0, sizeBytes)),
    )
    assert.ok(der.every((byte) => byte === 0))
  }
  for (let value = 0; value < 64; value++) {
    using pem = secretPem('TEST', Uint8Array.of(value << 2))
    assert.equal(
      pem.expose((bytes) => Buffer.from(bytes).toString('latin1')),
      expected(Buffer.of(value << 2)),
    )
  }
})
