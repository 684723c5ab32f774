import { Qcow2Error } from './qcow2-error.ts'
import type { L2Entry } from './table-entry.ts'

/** qcow2.txt, "Extended L2 Entries": each cluster has so many parts with a state of their own. */
const subclusterCount = 32

interface Place {
  readonly offsetInCluster: number
  readonly clusterSizeBytes: number
  /** Where the entry lies, for the error's text. */
  readonly at: number
}

/** A stretch of like subclusters; `hostOffset` is there for data alone. */
type SubclusterRun =
  | { readonly kind: 'unallocated' | 'zero'; readonly sizeBytes: number }
  | { readonly kind: 'data'; readonly sizeBytes: number; readonly hostOffset: number }

/**
 * The run of like subclusters that begins at `offsetInCluster`, at most to the cluster's end. Throws a Qcow2Error
 * `bad-table-entry` for a state that means nothing.
 */
export function subclusterRun(
  entry: Exclude<L2Entry, { kind: 'compressed' }>,
  zeroBits: number,
  allocatedBits: number,
  { offsetInCluster, clusterSizeBytes, at }: Place,
): SubclusterRun {
  const hostOffset = entry.kind === 'standard' ? entry.hostOffset : null
  if ((zeroBits & allocatedBits) !== 0) throw bad(at, 'a subcluster is both zero and allocated')
  if (hostOffset === null && allocatedBits !== 0) throw bad(at, 'a subcluster is allocated where the cluster is not')
  const subclusterSizeBytes = clusterSizeBytes / subclusterCount
  const kindOf = (index: number) => {
    if (((zeroBits >>> index) & 1) === 1) return 'zero'
    return ((allocatedBits >>> index) & 1) === 1 ? 'data' : 'unallocated'
  }
  const first = Math.floor(offsetInCluster / subclusterSizeBytes)
  const kind = kindOf(first)
  let end = first + 1
  while (end < subclusterCount && kindOf(end) === kind) end++
  const sizeBytes = end * subclusterSizeBytes - offsetInCluster
  if (kind !== 'data' || hostOffset === null) return { kind: kind === 'zero' ? 'zero' : 'unallocated', sizeBytes }
  return { kind, sizeBytes, hostOffset: hostOffset + offsetInCluster }
}

function bad(at: number, text: string): Qcow2Error {
  return new Qcow2Error('bad-table-entry', `qcow2 L2 entry at ${at}: ${text}`)
}
