import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import type { BlockNode, BlockNodeInfo } from '@cryptvisor/qmp'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { type NodeLevel, nodeName } from './node-names.ts'

/** A disk that is to be given to a QEMU, after all that is known of it was checked. */
export interface RunDisk {
  readonly disk: DiskAuthority
  /** Where its layer lies, for QEMU to open. */
  readonly path: string
  readonly kind: 'file' | 'device'
  /** Tells the file that was checked from any other that may come to lie there (`StorageStats.identity`). */
  readonly identity: string
  /** Whether it can be read and written past the host's page cache. */
  readonly direct: boolean
  /** Opens its LUKS volume; `null`: it is plain. */
  readonly passphrase: Secret | null
}

/** What QEMU calls the secret that opens a disk, while there is one. */
export const secretIdOf = ({ layerId }: DiskAuthority): string => `k${nodeName('luks', layerId)}`

/** The node that the guest's device reads and writes. */
export function topName({ disk, kind }: Pick<RunDisk, 'disk' | 'kind'>): string {
  return nodeName(levelsOf(disk, kind).at(-1) ?? 'file', disk.layerId)
}

/**
 * A disk as QEMU is to open it: every node named, every format said as the control plane knows it, nothing below an image. What a
 * guest frees is freed below, where that can be.
 */
export function diskNode(run: RunDisk): BlockNode {
  const { disk } = run
  const [first, ...above] = levelsOf(disk, run.kind)
  if (first !== 'file') throw new AgentError('internal', 'a disk begins with its file')
  return above.reduce<BlockNode>((file, level) => nodeAbove(file, level, run), fileNode(run))
}

function fileNode({ disk, path, kind, direct }: RunDisk): BlockNode {
  return {
    driver: kind === 'file' ? 'file' : 'host_device',
    'node-name': nodeName('file', disk.layerId),
    filename: path,
    ...{ locking: 'on', aio: 'threads', discard: 'unmap' },
    cache: { direct, 'no-flush': false },
  }
}

function nodeAbove(file: BlockNode, level: NodeLevel, { disk, kind, direct }: RunDisk): BlockNode {
  const cache = { direct, 'no-flush': false }
  const common = { 'node-name': nodeName(level, disk.layerId), file, discard: 'unmap', cache } as const
  switch (level) {
    case 'luks':
      return { driver: 'luks', ...common, 'key-secret': secretIdOf(disk) }
    case 'qcow2':
      return { driver: 'qcow2', ...common, backing: null }
    case 'raw':
      // A device may hold more than its disk.
      return { driver: 'raw', ...common, ...(kind === 'device' ? { size: disk.payloadBytes } : {}) }
    case 'file':
      throw new AgentError('internal', 'a file lies on nothing')
  }
}

/** From the file up. A LUKS volume in a file is as long as its disk, and needs nothing above it. */
function levelsOf({ format, encryption }: DiskAuthority, kind: RunDisk['kind']): NodeLevel[] {
  const levels: NodeLevel[] = encryption === null ? ['file'] : ['file', 'luks']
  if (format === 'qcow2') return [...levels, 'qcow2']
  return encryption !== null && kind === 'file' ? levels : [...levels, 'raw']
}

/**
 * Makes sure that QEMU has opened these disks, all of them as it was told, and nothing else. Throws AgentError `machine-failed`, which
 * says what is otherwise.
 */
export function checkNodes(found: readonly BlockNodeInfo[], disks: readonly RunDisk[]): void {
  const expected = disks.flatMap((run) =>
    levelsOf(run.disk, run.kind).map((level) => ({ run, level, name: nodeName(level, run.disk.layerId) })),
  )
  const other = found.find((node) => expected.every(({ name }) => name !== node['node-name']))
  if (other !== undefined) throw wrong(`it opened ${other.drv} ${other['node-name'] ?? ''}, which is no disk of the VM`)
  for (const { run, level, name } of expected) {
    const node = found.find((each) => each['node-name'] === name)
    const { number, virtualBytes } = run.disk
    if (node === undefined) throw wrong(`disk ${number}: it has no node ${name}`)
    const driver = level === 'file' && run.kind === 'device' ? 'host_device' : level
    if (node.drv !== driver) throw wrong(`disk ${number}: ${name} is ${node.drv}, not ${driver}`)
    if (node.ro) throw wrong(`disk ${number}: ${name} is read-only`)
    if (level === 'luks' && !node.encrypted) throw wrong(`disk ${number}: ${name} is not encrypted`)
    if (name !== topName(run)) continue
    const sizeBytes = node.image['virtual-size']
    if (sizeBytes !== virtualBytes) {
      throw new AgentError(
        'datastore-mismatch',
        `disk ${number}: its guest would see ${sizeBytes} bytes, the control plane knows ${virtualBytes}`,
      )
    }
  }
}

export function wrong(text: string): AgentError {
  return new AgentError('machine-failed', `QEMU did not do as it was told: ${text}`)
}
