import { realpath } from 'node:fs/promises'
import { normalize } from 'node:path'
import type { Storage } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import { devicePlace, type Place } from '../data-path/index.ts'
import { errnoOf, ioError } from '../io-error.ts'

/** Where a path leads to, links followed; `null` when there is nothing. */
export type ResolvePath = (path: string) => Promise<string | null>

/** The block devices that VMs of this host may lie on. */
export class Devices {
  readonly #storage: Storage
  readonly #roots: readonly string[]
  readonly #resolve: ResolvePath

  /** `roots`: a device, or the folder that devices lie at or below; without any, none may be used. */
  constructor(storage: Storage, roots: readonly string[], resolve: ResolvePath = realPath) {
    this.#storage = storage
    this.#roots = roots
    this.#resolve = resolve
  }

  /**
   * Where a block device is, links such as those of `/dev/disk/by-id` followed. It may be used when the path as it was given or
   * the one that it leads to lies at or below one of the roots: links in `/dev` are the administrator's own. Throws
   * AgentError `refused`, `file-missing`.
   */
  async place(path: string): Promise<Place> {
    if (normalize(path) !== path) throw refused(path, 'expected a path without «..» and doubled slashes')
    const real = await this.#resolve(path)
    const permitted = this.#roots.some((root) => isBelow(path, root) || (real !== null && isBelow(real, root)))
    if (!permitted) throw refused(path, 'lies outside the deviceRoots of this host’s config.json')
    if (real === null) throw new AgentError('file-missing', `device ${path}: is not there on this host`)
    return devicePlace(this.#storage, real)
  }
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`)
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await realpath(path)
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(cause) ?? '')) return null
    throw ioError(`device ${path}: cannot be looked at`, cause)
  }
}

function refused(path: string, text: string): AgentError {
  return new AgentError('refused', `device ${path}: ${text}`)
}
