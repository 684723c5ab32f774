import { realpath } from 'node:fs/promises'
import { isAbsolute, normalize, sep } from 'node:path'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { Storage } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import { Devices } from '../disk/devices.ts'
import { errnoOf, ioError } from '../io-error.ts'
import { type BeforeChange, Folder } from './folder.ts'

/** Where VMs lie that this agent may touch. */
export class Datastores {
  readonly #storage: Storage
  readonly #roots: readonly string[] | null
  readonly #beforeChange: BeforeChange
  readonly #devices: Devices

  /**
   * `roots`: datastores lie at or below one of these; `null`: anywhere that the control plane says. `devices`: what the disks of
   * their VMs may lie on; left out: none.
   */
  constructor(
    storage: Storage,
    roots: readonly string[] | null,
    beforeChange: BeforeChange = async () => {},
    devices: Devices = new Devices(storage, []),
  ) {
    this.#storage = storage
    this.#roots = roots
    this.#beforeChange = beforeChange
    this.#devices = devices
  }

  /**
   * Opens the datastore of a VM. Throws AgentError `refused` for a path that is not absolute, has `..`, or lies outside
   * the roots; `datastore-mismatch` when there is no such folder.
   */
  async open({ datastorePath: path }: Pick<VmAuthority, 'datastorePath'>): Promise<Folder> {
    if (!isAbsolute(path) || normalize(path) !== path || (path.endsWith(sep) && path !== sep)) {
      throw new AgentError('refused', `datastore ${path}: expected an absolute path without «..» and doubled slashes`)
    }
    await this.#checkRoots(path)
    const datastore = await Folder.open(this.#storage, path, this.#beforeChange, this.#devices)
    if (datastore === null) throw missing(path)
    return datastore
  }

  async #checkRoots(path: string): Promise<void> {
    if (this.#roots === null) return
    const real = await realPath(path)
    if (real === null) throw missing(path)
    for (const root of this.#roots) {
      const realRoot = await realPath(root)
      if (realRoot !== null && (real === realRoot || real.startsWith(realRoot === sep ? sep : realRoot + sep))) return
    }
    throw new AgentError('refused', `datastore ${path}: lies outside the datastoreRoots of this host’s config.json`)
  }
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await realpath(path)
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(cause) ?? '')) return null
    throw ioError(`datastore ${path}: cannot be looked at`, cause)
  }
}

function missing(path: string): AgentError {
  return new AgentError('datastore-mismatch', `datastore ${path}: there is no such folder on this host; is it mounted?`)
}
