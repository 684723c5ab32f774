import { PkiError } from './pki-error.ts'
import { x509 } from './x509.ts'

/** A subject that is one common name, taken as it is. Throws `PkiError` `bad-name`. */
export function nameOf(commonName: string): x509.Name {
  if (!/^[^\p{Cc}]{1,64}$/u.test(commonName)) {
    throw new PkiError('bad-name', 'common name: expected 1 to 64 characters in one line')
  }
  return new x509.Name([{ CN: [{ utf8String: commonName }] }])
}
