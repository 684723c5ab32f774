import { posix } from 'node:path'
import { errno } from '@cryptvisor/storage'
import type { Disk, FileSystem } from './disk.ts'

/** As in Linux. */
const linksMax = 40

/** What lies at a path, links followed; `null` when there is nothing. Throws `ENOTDIR`, `ELOOP`. */
export function resolve(disk: Disk, path: string, linkCount = 0): { node: number; fileSystem: FileSystem } | null {
  if (linkCount > linksMax) throw errno('ELOOP', path)
  const whole = posix.resolve('/', path)
  const at = mountOf(disk, whole)
  const fileSystem = at === null ? undefined : disk.fileSystems.get(at)
  if (at === null || fileSystem === undefined) return null
  let [node, here] = [fileSystem.root, at]
  const names = whole
    .slice(at.length)
    .split('/')
    .filter((name) => name !== '')
  for (const [index, name] of names.entries()) {
    const folder = disk.node(node)
    if (folder.kind !== 'folder') throw errno('ENOTDIR', path)
    const entry = folder.entries.get(name)
    if (entry === undefined) return null
    const found = disk.node(entry)
    if (found.kind === 'link') {
      return resolve(disk, posix.resolve(here, found.target, ...names.slice(index + 1)), linkCount + 1)
    }
    node = entry
    here = pathOf(here, name)
  }
  return { node, fileSystem }
}

/** The path of a name in a folder. */
export function pathOf(folder: string, name: string): string {
  return folder.endsWith('/') ? `${folder}${name}` : `${folder}/${name}`
}

/** Where the file system hangs that a path lies in. */
function mountOf(disk: Disk, path: string): string | null {
  const holds = (at: string) => path === at || path.startsWith(at.endsWith('/') ? at : `${at}/`)
  const mounts = [...disk.fileSystems.keys()].filter(holds)
  return mounts.toSorted((a, b) => b.length - a.length)[0] ?? null
}
