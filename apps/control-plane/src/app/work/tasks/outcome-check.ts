import { type KeyReference, type OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { keyText } from '../../key-reference.ts'

const checkShape = shapeCheck(VmAuthority, 'vm')

/** What a part of a VM must be encrypted with after an operation; `null`: it must be plain. */
interface ExpectedPart {
  readonly policy: string
  readonly keys: readonly KeyReference[] | null
}

/**
 * Compares what an agent says of a VM after an operation with what it was asked to make of it. Gives what is wrong, or
 * `null`. An agent that is mistaken or taken over cannot so make the database name another VM, disk, policy or KEK.
 */
export function checkOutcome(request: OperationRequest, answer: unknown): string | null {
  if (request.kind === 'delete-vm') return answer === null ? null : 'a deleted VM has no authority'
  const problem = checkShape(answer)
  if (problem !== null) return problem.message
  // Checked just now.
  const vm = answer as VmAuthority
  const before = request.vm
  for (const field of ['vmId', 'name', 'datastorePath', 'folder'] as const) {
    if (vm[field] !== before[field]) return `${field} is another one than before`
  }
  if (vm.generation <= before.generation) return `generation ${vm.generation} is not above ${before.generation}`
  const home = differs('VM Home', expectedHome(request), vm)
  if (home !== null) return home
  const expected = expectedDisks(request)
  if (vm.disks.length !== expected.size) return `there are ${vm.disks.length} disks and not ${expected.size}`
  for (const disk of vm.disks) {
    const part = expected.get(disk.diskId)
    if (part === undefined) return `there is a disk ${disk.diskId} that nobody asked for`
    const wrong = differs(`disk ${disk.number}`, part, disk)
    if (wrong !== null) return wrong
    const known = before.disks.find((candidate) => candidate.diskId === disk.diskId) ?? newDisk(request)
    if (known !== null && (known.number !== disk.number || known.format !== disk.format)) {
      return `disk ${known.number} has another number or format than it should`
    }
  }
  return null
}

function newDisk(request: OperationRequest) {
  return request.kind === 'add-disk' || request.kind === 'import-disk' ? request : null
}

function differs(
  what: string,
  expected: ExpectedPart,
  part: Pick<VmAuthority, 'policy' | 'encryption'>,
): string | null {
  if (part.policy !== expected.policy) return `${what} has the policy ${part.policy} and not ${expected.policy}`
  const name = (keys: readonly KeyReference[] | null) => keys?.map(keyText).toSorted().join(' and ') ?? 'no key'
  const actual = name(part.encryption?.keys ?? null)
  return actual === name(expected.keys) ? null : `${what} is encrypted with ${actual} and not ${name(expected.keys)}`
}

function expectedHome(request: OperationRequest): ExpectedPart {
  const same = { policy: request.vm.policy, keys: request.vm.encryption?.keys ?? null }
  switch (request.kind) {
    case 'create-vm':
      return { policy: same.policy, keys: request.key === null ? null : [request.key] }
    case 'encrypt':
      return request.home === null ? same : { policy: request.home.policy, keys: [request.home.key] }
    case 'decrypt':
      return request.home === null ? same : { policy: request.home.policy, keys: null }
    case 'add-disk':
    case 'import-disk':
    case 'delete-vm':
      return same
  }
}

function expectedDisks(request: OperationRequest): Map<string, ExpectedPart> {
  const parts = new Map<string, ExpectedPart>(
    request.vm.disks.map(({ diskId, policy, encryption }) => [diskId, { policy, keys: encryption?.keys ?? null }]),
  )
  switch (request.kind) {
    case 'add-disk':
      return parts.set(request.diskId, {
        policy: request.policy,
        keys: request.key === null ? null : [request.key],
      })
    case 'import-disk':
      return parts.set(request.diskId, { policy: request.policy, keys: null })
    case 'encrypt':
      for (const { diskId, key, policy } of request.disks) parts.set(diskId, { policy, keys: [key] })
      return parts
    case 'decrypt':
      for (const { diskId, policy } of request.disks) parts.set(diskId, { policy, keys: null })
      return parts
    case 'create-vm':
    case 'delete-vm':
      return parts
  }
}
