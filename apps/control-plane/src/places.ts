import { realpathSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

/** Where things lie in a data folder. */
export const placesIn = (folder: string) => ({
  folder: resolve(folder),
  database: join(resolve(folder), 'control-plane.sqlite'),
  /** The authority's certificate, for whoever is to trust us. */
  ca: join(resolve(folder), 'ca.pem'),
  /** Unless the operator names another one: beside the folder, not in it. */
  defaultRootKeyFile: `${resolve(folder)}.root-key`,
})

/** Whether `path` is `folder` or lies in it, links followed as far as there is something. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(realPlace(resolve(folder)), realPlace(resolve(path)))
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`))
}

function realPlace(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // Not there yet: where it would be.
    return dirname(path) === path ? path : join(realPlace(dirname(path)), basename(path))
  }
}
