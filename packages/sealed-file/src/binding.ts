import { hkdf } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { SealedFileError } from './sealed-file-error.ts'

/** Bytes of the key that seals files. */
export const sealKeySizeBytes = 32

/** The longest path below `home/`, in bytes. */
const homePathSizeMax = 1024

/** HKDF's info for the key of the files in `home/`. Other uses of the VM Home DEK have other texts. */
const homeKeyInfo = 'home'

/** The key that seals the files below `home/`: HKDF of the VM Home DEK. The caller disposes of both. */
export function homeKeyOf(dek: Secret): Secret {
  return hkdf(dek, { info: homeKeyInfo, sizeBytes: sealKeySizeBytes })
}

/**
 * The associated data of a file in VM Home: `<VM ID>/<path below home/>` in UTF-8, so that a sealed file opens at its own
 * place only. Throws a SealedFileError `bad-path` for a VM ID that is not a UUID in lower case, and for a path that is
 * absolute, empty, too long, or has empty, `.` or `..` parts.
 */
export function associatedDataOf(vmId: string, path: string): Uint8Array {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(vmId)) {
    throw new SealedFileError('bad-path', 'a VM ID is a UUID in lower case')
  }
  const parts = path.split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..') || path.includes('\0')) {
    throw new SealedFileError('bad-path', 'a path below home/ is relative, without empty parts, . and ..')
  }
  const bytes = new TextEncoder().encode(`${vmId}/${path}`)
  if (bytes.length > homePathSizeMax) {
    throw new SealedFileError('bad-path', `a path below home/ with its VM ID has at most ${homePathSizeMax} bytes`)
  }
  return bytes
}
