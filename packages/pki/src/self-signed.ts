import { signingAlgorithm } from './algorithm.ts'
import { serialNumber, validity } from './authority.ts'
import { generateKeyPair, type Identity } from './identity.ts'
import { nameOf } from './name.ts'
import { pemOf } from './pem.ts'
import { x509 } from './x509.ts'

/** Makes a key pair and a client certificate that it signs itself: whoever trusts it trusts this one certificate. */
export async function createSelfSignedClient(commonName: string, validDays: number, now: Date): Promise<Identity> {
  const { keys, privateKey } = await generateKeyPair()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: nameOf(commonName),
    ...validity(now, validDays),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pemOf(certificate), privateKey, [Symbol.dispose]: () => privateKey[Symbol.dispose]() }
}
