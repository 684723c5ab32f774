import type { FileHandle } from 'node:fs/promises'
import { readCertificate } from '@cryptvisor/pki'
import { readArchive } from './archive.ts'
import { type BackupManifest, badBackup, contentOf, readManifest } from './manifest.ts'

/** A backup whose every byte is what its manifest says, and its manifest what the authority in it signed. */
export interface VerifiedBackup {
  readonly manifest: BackupManifest
  readonly config: Buffer
  /** PEM. */
  readonly ca: string
}

/**
 * Reads a whole backup and checks it; writes its database to `target` where that is given. `trustedCa` (PEM): the authority
 * that must have signed it; without it, the one in the backup, whose fingerprint somebody has to compare. Throws `SetUpError`
 * `bad-backup`, and what the file system says.
 */
export async function verifyBackup(
  path: string,
  trustedCa: string | null,
  target: FileHandle | null = null,
): Promise<VerifiedBackup> {
  const { small, database } = await readArchive(path, target)
  const ca = small['ca.pem'].toString('utf8')
  const manifest = readManifest(small['manifest.json'], small['manifest.sig'], ca)
  if (trustedCa !== null && readCertificate(trustedCa).fingerprint256 !== manifest.caFingerprint256) {
    throw badBackup(`it is of another control plane: its certificate authority is ${manifest.caFingerprint256}`)
  }
  const found = {
    'config.json': contentOf(small['config.json']),
    'ca.pem': contentOf(small['ca.pem']),
    'control-plane.sqlite': database,
  }
  for (const name of ['config.json', 'ca.pem', 'control-plane.sqlite'] as const) {
    const [is, said] = [found[name], manifest.contents[name]]
    if (is.sha256 !== said.sha256 || is.sizeBytes !== said.sizeBytes) {
      throw badBackup(`${name} is not what manifest.json says: it was changed, or damaged`)
    }
  }
  return { manifest, config: small['config.json'], ca }
}
