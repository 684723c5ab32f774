import { type DiskAuthority, type KeyReference, type OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { keyText } from '../../key-reference.ts'
import { type ExpectedDisk, type ExpectedPart, expectedDisks, expectedHome, layersBefore } from './expected-outcome.ts'

const checkShape = shapeCheck(VmAuthority, 'vm')

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
  const home = partProblem('VM Home', expectedHome(request), vm)
  if (home !== null) return home
  const expected = expectedDisks(request)
  if (vm.disks.length !== expected.size) return `there are ${vm.disks.length} disks and not ${expected.size}`
  const seen = new Set<string>()
  const layers = new Set<string>()
  const old = layersBefore(request)
  for (const disk of vm.disks) {
    const wanted = expected.get(disk.diskId)
    if (wanted === undefined || seen.has(disk.diskId)) return `there is a disk ${disk.diskId} that nobody asked for`
    seen.add(disk.diskId)
    const wrong = diskProblem(wanted, disk, old)
    if (wrong !== null) return wrong
    if (layers.has(disk.layerId)) return `disk ${disk.number} is the layer of another disk, too`
    layers.add(disk.layerId)
  }
  return null
}

function diskProblem(expected: ExpectedDisk, disk: DiskAuthority, old: ReadonlySet<string>): string | null {
  const what = `disk ${expected.number}`
  if (disk.number !== expected.number || disk.format !== expected.format) {
    return `${what} has another number or format than it should`
  }
  if (disk.device !== expected.device) return `${what} lies on another device than it should`
  const { layer, virtualBytes } = expected
  if (virtualBytes !== null && disk.virtualBytes !== virtualBytes) {
    return `${what} has ${disk.virtualBytes} bytes and not ${virtualBytes}`
  }
  if (layer !== null && isAnother(layer, disk)) return `${what} is another layer, and nobody asked for one`
  if (layer !== null && (disk.encryption?.generation ?? 0) < (layer.encryption?.generation ?? 0)) {
    return `the key record of ${what} is older than it was`
  }
  const part = partProblem(what, expected, disk)
  if (part !== null || layer !== null || !old.has(disk.layerId)) return part
  return `${what} is a layer that was there before, and a new one was asked for`
}

function isAnother(before: DiskAuthority, disk: DiskAuthority): boolean {
  return (
    disk.layerId !== before.layerId ||
    disk.payloadBytes !== before.payloadBytes ||
    disk.encryption?.luksUuid !== before.encryption?.luksUuid
  )
}

function partProblem(
  what: string,
  expected: ExpectedPart,
  part: Pick<VmAuthority, 'policy' | 'encryption'>,
): string | null {
  if (part.policy !== expected.policy) return `${what} has the policy ${part.policy} and not ${expected.policy}`
  const name = (keys: readonly KeyReference[] | null) => keys?.map(keyText).toSorted().join(' and ') ?? 'no key'
  const actual = name(part.encryption?.keys ?? null)
  return actual === name(expected.keys) ? null : `${what} is encrypted with ${actual} and not ${name(expected.keys)}`
}
