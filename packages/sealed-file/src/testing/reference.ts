import { createDecipheriv, hkdfSync } from 'node:crypto'

/** The parameters of a Tink key of type AesGcmHkdfStreaming. */
export interface ReferenceParameters {
  readonly key: Uint8Array
  readonly associatedData: Uint8Array
  readonly hash: 'sha1' | 'sha256'
  readonly derivedKeySizeBytes: 16 | 32
  readonly segmentSizeBytes: number
}

/**
 * Opens Tink's AES-GCM-HKDF streaming format for any parameters, written from its description and sharing no code with
 * this package: what Tink's vectors prove of it, it proves of us.
 */
export function unsealReference(parameters: ReferenceParameters, sealed: Uint8Array): Uint8Array {
  const { key, associatedData, hash, derivedKeySizeBytes, segmentSizeBytes } = parameters
  const salt = sealed.subarray(1, 1 + derivedKeySizeBytes)
  const noncePrefix = sealed.subarray(1 + derivedKeySizeBytes, sealed[0])
  const fileKey = new Uint8Array(hkdfSync(hash, key, salt, associatedData, derivedKeySizeBytes))
  const opened: Uint8Array[] = []
  for (let index = 0, start = Number(sealed[0]); start < sealed.length; index++) {
    const end = Math.min((index + 1) * segmentSizeBytes, sealed.length)
    const counter = [24, 16, 8, 0].map((shift) => (index >>> shift) & 0xff)
    const nonce = Uint8Array.from([...noncePrefix, ...counter, end === sealed.length ? 1 : 0])
    const decipher = createDecipheriv(derivedKeySizeBytes === 16 ? 'aes-128-gcm' : 'aes-256-gcm', fileKey, nonce)
    decipher.setAuthTag(sealed.subarray(end - 16, end))
    opened.push(decipher.update(sealed.subarray(start, end - 16)), decipher.final())
    start = end
  }
  return Uint8Array.from(Buffer.concat(opened))
}
