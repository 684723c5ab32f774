import { join, relative, resolve, sep } from 'node:path'

/** Where things lie in a data folder. */
export const placesIn = (folder: string) => ({
  folder: resolve(folder),
  database: join(resolve(folder), 'control-plane.sqlite'),
  /** The authority's certificate, for whoever is to trust us. */
  ca: join(resolve(folder), 'ca.pem'),
  /** Unless the operator names another one: beside the folder, not in it. */
  defaultRootKeyFile: `${resolve(folder)}.root-key`,
})

/** Whether `path` is `folder` or lies in it, by their names. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(resolve(folder), resolve(path))
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`))
}
