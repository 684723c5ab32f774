import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { KeyServerError } from './key-server-error.ts'

/** Where things lie in a data folder. */
export interface DataFolder {
  readonly path: string
  /** Written last by `init`: a folder that has it is set up. */
  readonly config: string
  readonly database: string
  /** The certificate of our CA, for whoever is to trust us, PEM. */
  readonly ca: string
  /** The CA's private key, sealed. */
  readonly caKey: string
  /** The server's certificate, PEM. */
  readonly server: string
  /** The server's private key, sealed. */
  readonly serverKey: string
  /** The first administrator's certificate and private key, PEM; to be moved to the administrator's machine. */
  readonly admin: string
  readonly adminKey: string
}

export function dataFolder(folder: string): DataFolder {
  const path = resolve(folder)
  return {
    path,
    config: join(path, 'config.json'),
    database: join(path, 'key-server.sqlite'),
    ca: join(path, 'ca.pem'),
    caKey: join(path, 'ca.key.sealed'),
    server: join(path, 'server.pem'),
    serverKey: join(path, 'server.key.sealed'),
    admin: join(path, 'admin.pem'),
    adminKey: join(path, 'admin.key'),
  }
}

/** Where the root key lies unless somebody says otherwise: beside the data folder, not in it. */
export function defaultRootKeyFile(folder: DataFolder): string {
  return `${folder.path}.root-key`
}

/** Throws `root-key-within-data`: who copies the data folder must not get the root key with it. */
export function checkRootKeyPlace(rootKeyFile: string, folder: DataFolder): void {
  const way = relative(folder.path, resolve(rootKeyFile))
  const isOutside = way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)
  if (!isOutside) {
    throw new KeyServerError(
      'root-key-within-data',
      `the root key must lie outside of ${folder.path}, best on another disk: give --root-key-file FILE`,
    )
  }
}
