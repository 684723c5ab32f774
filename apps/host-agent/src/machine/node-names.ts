import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { isUuid } from '../uuid.ts'

/** What a node of a disk's is: the file or device itself, and what is read through it. */
export type NodeLevel = 'file' | 'luks' | 'qcow2' | 'raw'

const letters: Readonly<Record<NodeLevel, string>> = { file: 'f', luks: 'l', qcow2: 'q', raw: 'r' }

/**
 * What QEMU calls a node of a layer: a letter and the 16 bytes of the layer's ID in base64url, since QEMU takes names of 31 bytes at
 * most (docs/decisions/0024-machines.md). Throws AgentError `refused` for an ID that is no UUID.
 */
export function nodeName(level: NodeLevel, layerId: string): string {
  if (!isUuid(layerId)) throw new AgentError('refused', `layer ${layerId}: a VM that runs needs layers named by UUIDs`)
  return letters[level] + Buffer.from(layerId.replaceAll('-', ''), 'hex').toString('base64url')
}

/** The disk that a node belongs to; `null`: none of these. */
export function diskOfNode(name: string, disks: readonly DiskAuthority[]): DiskAuthority | null {
  const levels = Object.keys(letters)
  return disks.find(({ layerId }) => isUuid(layerId) && levels.some((level) => isNamed(name, level, layerId))) ?? null
}

function isNamed(name: string, level: string, layerId: string): boolean {
  // The keys of an object of this file's own are those of its type.
  return name === nodeName(level as NodeLevel, layerId)
}
