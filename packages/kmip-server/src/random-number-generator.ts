import type { RngParameters } from '@cryptvisor/kmip'

/** What makes keys here: NIST SP 800-90A, CTR_DRBG with AES-256, which OpenSSL has. */
export const randomNumberGenerator: RngParameters = {
  rngAlgorithm: 'DRBG',
  cryptographicAlgorithm: 'AES',
  cryptographicLength: 256,
  drbgAlgorithm: 'CTR',
}
