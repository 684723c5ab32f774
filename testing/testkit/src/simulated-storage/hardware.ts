import { Contents } from './contents.ts'
import { Disk, type DiskNode, type FileSystem } from './disk.ts'
import { FileNode } from './file-node.ts'
import { FolderNode } from './folder-node.ts'

/** What a simulated machine has. */
export interface SimulatedHardware {
  /** File systems by the paths that they are reached at; without it, one at `/`. */
  readonly fileSystems?: Readonly<Record<string, FileSystemOptions>>
  /** Block devices by their paths, and how much they hold. */
  readonly devices?: Readonly<Record<string, number>>
  /** The time of each change; without it each is a millisecond after the one before. */
  readonly nowNs?: () => bigint
}

export interface FileSystemOptions {
  /** How much room it has; without it, more than any test needs. */
  readonly capacityBytes?: number
  /** Whether it has locks (`ENOLCK`); without it, it has. */
  readonly locks?: boolean
  /** Whether its disk says that it has written what it only keeps in its cache: no sync does anything. */
  readonly lies?: boolean
  /** Whether it has O_DIRECT (`EINVAL`); without it, it has. */
  readonly direct?: boolean
}

const capacityBytesDefault = 2 ** 50

/** The disk of a new machine: nothing lies in it, devices read as zeros. */
export function emptyDisk({ fileSystems = { '/': {} }, devices = {} }: SimulatedHardware): Disk {
  const nodes = new Map<number, DiskNode>()
  const add = (node: DiskNode) => {
    nodes.set(nodes.size + 1, node)
    return nodes.size
  }
  const mounted = new Map<string, FileSystem>()
  for (const [
    path,
    { capacityBytes = capacityBytesDefault, locks = true, direct = true, lies = false },
  ] of Object.entries(fileSystems)) {
    mounted.set(path, { root: add(FolderNode.of(new Map(), 0n)), capacityBytes, locks, direct, lies })
  }
  const numbers = Object.entries(devices).map(
    ([path, sizeBytes]) => [path, add(new FileNode('device', Contents.empty.resize(sizeBytes), 0n))] as const,
  )
  return new Disk(mounted, new Map(numbers), nodes, nodes.size + 1)
}

/** A clock of its own. */
export function ownClock(): () => bigint {
  let nowNs = 1_600_000_000_000_000_000n
  return () => {
    nowNs += 1_000_000n
    return nowNs
  }
}
