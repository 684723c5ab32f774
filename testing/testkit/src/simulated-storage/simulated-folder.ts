import {
  errno,
  type OpenOptions,
  type StorageAccess,
  type StorageFile,
  type StorageFolder,
  type StorageStats,
} from '@cryptvisor/storage'
import type { FileSystem } from './disk.ts'
import type { StorageCallKind } from './fault.ts'
import type { Machine } from './machine.ts'
import { statsOf } from './node-stats.ts'
import { pathOf } from './resolve.ts'
import { SimulatedFile } from './simulated-file.ts'

/** As in the kernel. */
const nameBytesMax = 255

/** An open folder of a simulated machine. It stays what it is whatever becomes of its name. */
export class SimulatedFolder implements StorageFolder {
  readonly path: string
  readonly #machine: Machine
  readonly #node: number
  readonly #fileSystem: FileSystem
  #open = true

  constructor(machine: Machine, path: string, node: number, fileSystem: FileSystem) {
    this.path = path
    this.#machine = machine
    this.#node = node
    this.#fileSystem = fileSystem
    machine.opened(node, fileSystem.root)
  }

  async folder(name: string): Promise<StorageFolder | null> {
    const path = this.#call('open', name)
    const node = this.#find(name)
    if (node === null) return null
    if (this.#machine.disk.node(node).kind !== 'folder') throw errno('ENOTDIR', `open ${path}`)
    return new SimulatedFolder(this.#machine, path, node, this.#fileSystem)
  }

  async makeFolder(name: string): Promise<void> {
    this.#make('make-folder', name)
  }

  async openFile(name: string, access: StorageAccess, { direct = false }: OpenOptions = {}): Promise<StorageFile> {
    const path = this.#call('open', name)
    const node = this.#found(name)
    const { kind } = this.#machine.disk.node(node)
    if (kind === 'link') throw errno('ELOOP', `open ${path}`)
    if (kind === 'folder' && access === 'write') throw errno('EISDIR', `open ${path}`)
    if (kind !== 'file') throw errno('EINVAL', `${path} is not a regular file`)
    if (direct && !this.#fileSystem.direct) throw errno('EINVAL', `open ${path}: no O_DIRECT here`)
    return new SimulatedFile(this.#machine, { path, node, access, direct, fileSystem: this.#fileSystem })
  }

  async createFile(name: string): Promise<StorageFile> {
    const path = this.#make('create', name)
    const opening = { path, node: this.#found(name), access: 'write', direct: false } as const
    return new SimulatedFile(this.#machine, { ...opening, fileSystem: this.#fileSystem })
  }

  async stat(name: string): Promise<StorageStats | null> {
    this.#call('stat', name)
    const node = this.#find(name)
    return node === null ? null : statsOf(this.#machine.disk, node, this.#fileSystem)
  }

  async names(countMax?: number): Promise<string[]> {
    this.#call('names')
    return [...this.#entries.keys()].slice(0, countMax)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#checkName(from)
    const path = this.#call('rename', to)
    const [node, replaced] = [this.#found(from), this.#find(to)]
    if (node === replaced) return
    if (replaced !== null) this.#checkReplaces(path, node, replaced)
    this.#change(path, { kind: 'rename', from, to, node })
  }

  async link(name: string, to: StorageFolder, as: string): Promise<void> {
    this.#checkName(name)
    if (!(to instanceof SimulatedFolder) || to.#fileSystem.root !== this.#fileSystem.root) {
      throw errno('EXDEV', `link ${this.path}/${name}`)
    }
    const path = to.#call('link', as)
    const node = this.#found(name)
    if (this.#machine.disk.node(node).kind !== 'file') throw errno('EPERM', `link ${path}`)
    if (to.#find(as) !== null) throw errno('EEXIST', path)
    if (!this.#machine.disk.below(this.#fileSystem.root).has(to.#node)) throw errno('ENOENT', path)
    to.#change(path, { kind: 'put', name: as, node })
  }

  async removeFile(name: string): Promise<void> {
    const path = this.#call('remove-file', name)
    if (this.#machine.disk.node(this.#found(name)).kind === 'folder') throw errno('EISDIR', `unlink ${path}`)
    this.#change(path, { kind: 'remove', name })
  }

  async removeFolder(name: string): Promise<void> {
    const path = this.#call('remove-folder', name)
    const node = this.#machine.disk.node(this.#found(name))
    if (node.kind !== 'folder') throw errno('ENOTDIR', `rmdir ${path}`)
    if (node.entries.size > 0) throw errno('ENOTEMPTY', `rmdir ${path}`)
    this.#change(path, { kind: 'remove', name })
  }

  async sync(): Promise<void> {
    this.#call('sync-folder')
    if (!this.#fileSystem.lies) this.#machine.change({ kind: 'sync', path: this.path, node: this.#node, failed: false })
  }

  async freeBytes(): Promise<number> {
    this.#call('free')
    return this.#machine.freeBytes(this.#fileSystem)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#machine.closed(this.#node)
  }

  get #entries(): ReadonlyMap<string, number> {
    return this.#machine.disk.folder(this.#node).entries
  }

  #find(name: string): number | null {
    return this.#entries.get(name) ?? null
  }

  #found(name: string): number {
    const node = this.#find(name)
    if (node === null) throw errno('ENOENT', `${this.path}/${name}`)
    return node
  }

  /** Begins a call about this folder, or about a name in it; gives the path. */
  #call(kind: StorageCallKind, name?: string): string {
    if (!this.#open) throw errno('EBADF', `${this.path} was closed`)
    if (name !== undefined) this.#checkName(name)
    const path = name === undefined ? this.path : pathOf(this.path, name)
    this.#machine.call({ kind, path })
    return path
  }

  #checkName(name: string): void {
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
      throw errno('EINVAL', `${JSON.stringify(name)} is no name`)
    }
    if (Buffer.byteLength(name) > nameBytesMax) throw errno('ENAMETOOLONG', `${this.path}/${name}`)
  }

  #make(kind: 'create' | 'make-folder', name: string): string {
    const path = this.#call(kind, name)
    if (this.#find(name) !== null) throw errno('EEXIST', path)
    // Whoever holds a removed folder open can make nothing in it.
    if (!this.#machine.disk.below(this.#fileSystem.root).has(this.#node)) throw errno('ENOENT', path)
    const made = kind === 'create' ? 'file' : 'folder'
    this.#machine.change({ kind: 'create', path, folder: this.#node, name, made })
    return path
  }

  #change(
    path: string,
    change:
      | { kind: 'remove'; name: string }
      | { kind: 'rename'; from: string; to: string; node: number }
      | { kind: 'put'; name: string; node: number },
  ): void {
    this.#machine.change({ kind: 'names', path, folder: this.#node, change })
  }

  #checkReplaces(path: string, node: number, replaced: number): void {
    const [source, target] = [this.#machine.disk.node(node), this.#machine.disk.node(replaced)]
    if (target.kind !== 'folder') {
      if (source.kind === 'folder') throw errno('ENOTDIR', `rename to ${path}`)
      return
    }
    if (source.kind !== 'folder') throw errno('EISDIR', `rename to ${path}`)
    if (target.entries.size > 0) throw errno('ENOTEMPTY', `rename to ${path}`)
  }
}
