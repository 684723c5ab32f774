import type { Secret } from '@cryptvisor/secret'
import { signingAlgorithm } from './algorithm.ts'
import { generateKeyPair } from './identity.ts'
import { nameOf } from './name.ts'
import { pemOf } from './pem.ts'
import { x509 } from './x509.ts'

/** Makes a key pair and a PKCS#10 request (RFC 2986) for it, PEM; the key stays with whoever asks. */
export async function createRequest(commonName: string): Promise<{ csr: string; privateKey: Secret }> {
  const { keys, privateKey } = await generateKeyPair()
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(commonName),
    keys,
    signingAlgorithm,
  })
  return { csr: pemOf(request), privateKey }
}
