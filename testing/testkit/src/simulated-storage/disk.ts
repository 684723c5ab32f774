import { Contents, pageBytes } from './contents.ts'
import type { DiskEvent, Plant } from './disk-event.ts'
import { FileNode } from './file-node.ts'
import { FolderNode } from './folder-node.ts'
import { pathOf } from './resolve.ts'
import type { Luck } from './survival.ts'

/** A link, or something that is neither file nor folder. */
export interface OtherNode {
  readonly kind: 'link' | 'pipe'
  readonly target: string
  readonly modifiedNs: bigint
}

export type DiskNode = FileNode | FolderNode | OtherNode

/** A file system: its uppermost folder's node and what it can do. */
export interface FileSystem {
  readonly root: number
  readonly capacityBytes: number
  readonly locks: boolean
  readonly direct: boolean
  readonly lies: boolean
}

/** Everything that lies in a machine: file systems by where they hang, devices by their paths. It changes by events alone. */
export class Disk {
  readonly fileSystems: ReadonlyMap<string, FileSystem>
  readonly devices: ReadonlyMap<string, number>
  readonly #nodes: Map<number, DiskNode>
  #nextNode: number

  constructor(
    fileSystems: ReadonlyMap<string, FileSystem>,
    devices: ReadonlyMap<string, number>,
    nodes: ReadonlyMap<number, DiskNode>,
    nextNode: number,
  ) {
    this.fileSystems = fileSystems
    this.devices = devices
    this.#nodes = new Map(nodes)
    this.#nextNode = nextNode
  }

  /** Another one that can change by itself; nodes never change and are shared. */
  copy(): Disk {
    return new Disk(this.fileSystems, this.devices, this.#nodes, this.#nextNode)
  }

  node(number: number): DiskNode {
    const node = this.#nodes.get(number)
    if (node === undefined) throw new Error(`there is no node ${number}`)
    return node
  }

  file(number: number): FileNode {
    const node = this.node(number)
    if (node instanceof FileNode) return node
    throw new Error(`node ${number} is no file`)
  }

  folder(number: number): FolderNode {
    const node = this.node(number)
    if (node instanceof FolderNode) return node
    throw new Error(`node ${number} is no folder`)
  }

  apply(event: DiskEvent): void {
    const { modifiedNs } = event
    switch (event.kind) {
      case 'write':
        this.#nodes.set(event.node, this.file(event.node).write(event.bytes, event.position, modifiedNs))
        return
      case 'truncate':
        this.#nodes.set(event.node, this.file(event.node).resize(event.sizeBytes, modifiedNs))
        return
      case 'allocate':
        this.#nodes.set(event.node, this.file(event.node).allocate(event.sizeBytes, modifiedNs))
        return
      case 'sync':
        this.#sync(event.node, event.failed)
        return
      case 'create': {
        const node = this.#add(
          event.made === 'file'
            ? new FileNode('file', Contents.empty, modifiedNs)
            : FolderNode.of(new Map(), modifiedNs),
        )
        const change = { kind: 'put', name: event.name, node } as const
        this.#nodes.set(event.folder, this.folder(event.folder).change(change, modifiedNs))
        return
      }
      case 'names':
        this.#nodes.set(event.folder, this.folder(event.folder).change(event.change, modifiedNs))
        return
      case 'plant': {
        const node = this.#planted(event.folder, event.plant, modifiedNs)
        this.#nodes.set(event.folder, this.folder(event.folder).planted(event.name, node, modifiedNs))
        return
      }
      default:
        event satisfies never
    }
  }

  /** The disk as a machine finds it that lost its power now. */
  settled(luck: Luck): Disk {
    const nodes = new Map<number, DiskNode>()
    const settle = (number: number): void => {
      if (nodes.has(number)) return
      const node = this.node(number)
      const settled = node instanceof FileNode || node instanceof FolderNode ? node.settled(luck) : node
      nodes.set(number, settled)
      if (settled instanceof FolderNode) for (const entry of settled.entries.values()) settle(entry)
    }
    for (const { root } of this.fileSystems.values()) settle(root)
    for (const device of this.devices.values()) settle(device)
    return new Disk(this.fileSystems, this.devices, nodes, this.#nextNode)
  }

  /** The same with another capacity of the file system at `path`. */
  withCapacity(path: string, capacityBytes: number): Disk {
    const fileSystem = this.fileSystems.get(path)
    if (fileSystem === undefined) throw new Error(`there is no file system at ${path}`)
    const fileSystems = new Map(this.fileSystems).set(path, { ...fileSystem, capacityBytes })
    return new Disk(fileSystems, this.devices, this.#nodes, this.#nextNode)
  }

  /** All nodes below a folder, it included, each once. */
  below(number: number, found: Set<number> = new Set()): Set<number> {
    found.add(number)
    const node = this.node(number)
    if (node instanceof FolderNode) for (const entry of node.entries.values()) this.below(entry, found)
    return found
  }

  /** How many names a node has below a file system's root. */
  namesOf(number: number, root: number): number {
    let count = number === root ? 1 : 0
    for (const [, entry] of this.#walk(root, '')) if (entry === number) count++
    return count
  }

  /** The bytes of all files that have a name, and of all devices, by their paths. */
  files(): Map<string, Buffer> {
    const files = new Map<string, Buffer>()
    for (const [path, number] of [...this.#walkAll(), ...this.devices]) {
      const node = this.node(number)
      if (!(node instanceof FileNode)) continue
      const bytes = Buffer.alloc(node.contents.sizeBytes)
      node.contents.read(bytes, 0)
      files.set(path, bytes)
    }
    return files
  }

  /** Everything that has a name by its path; folders end with a slash. */
  paths(): string[] {
    return this.#walkAll().map(([path, number]) => (this.node(number).kind === 'folder' ? `${path}/` : path))
  }

  /** How much room these nodes take. */
  usedBytes(numbers: Iterable<number>): number {
    let count = 0
    for (const number of numbers) {
      const node = this.node(number)
      if (node instanceof FileNode) count += node.contents.pageCount
    }
    return count * pageBytes
  }

  #walkAll(): [path: string, node: number][] {
    return [...this.fileSystems].flatMap(([path, { root }]) => [...this.#walk(root, path)])
  }

  *#walk(number: number, path: string): Generator<[path: string, node: number]> {
    const node = this.node(number)
    if (!(node instanceof FolderNode)) return
    for (const [name, entry] of node.entries) {
      yield [pathOf(path, name), entry]
      yield* this.#walk(entry, pathOf(path, name))
    }
  }

  #sync(number: number, failed: boolean): void {
    const node = this.node(number)
    if (node instanceof FileNode) this.#nodes.set(number, failed ? node.syncFailed() : node.synced())
    // What a folder's sync could not do stays to be done by the next one: file systems keep it in their journal.
    else if (node instanceof FolderNode && !failed) this.#nodes.set(number, node.synced())
  }

  #planted(folder: number, plant: Plant, modifiedNs: bigint): number {
    switch (plant.kind) {
      case 'file':
        return this.#add(new FileNode('file', Contents.empty.write(new Uint8Array(plant.bytes), 0), modifiedNs))
      case 'folder':
        return this.#add(FolderNode.of(new Map(), modifiedNs))
      case 'name': {
        const node = this.folder(folder).entries.get(plant.of)
        if (node === undefined) throw new Error(`there is no ${plant.of}`)
        return node
      }
      case 'link':
        return this.#add({ kind: 'link', target: plant.target, modifiedNs })
      case 'pipe':
        return this.#add({ kind: 'pipe', target: '', modifiedNs })
      default:
        return plant satisfies never
    }
  }

  #add(node: DiskNode): number {
    const number = this.#nextNode++
    this.#nodes.set(number, node)
    return number
  }
}
