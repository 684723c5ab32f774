import { Secret, secretBytes } from '@cryptvisor/secret'

/**
 * The LUKS passphrase that stands for a DEK: its bytes in lower-case hexadecimal, since QEMU takes only UTF-8 as a
 * passphrase. The caller disposes of the result.
 */
export function passphraseOf(dek: Secret): Secret {
  return dek.expose((bytes) => {
    const passphrase = secretBytes(bytes.length * 2)
    bytes.forEach((byte, index) => {
      passphrase[index * 2] = hexDigit(byte >> 4)
      passphrase[index * 2 + 1] = hexDigit(byte & 15)
    })
    return Secret.from(passphrase)
  })
}

/** The ASCII code of a digit 0 to 15, without a table whose cache lines would tell which. */
function hexDigit(value: number): number {
  return value + 0x30 + (((9 - value) >> 8) & 0x27)
}
