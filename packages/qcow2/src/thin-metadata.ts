import type { ClusterRanks } from './cluster-ranks.ts'
import type { DataClusters } from './data-clusters.ts'
import { type HeaderField, headerLayout, headerWrittenSizeBytes, qcow2Magic } from './header-layout.ts'
import { copiedBit } from './table-entry.ts'
import { clustersPerTable, refcountsPerBlock, thinClusterSizeBytes } from './thin-format.ts'
import { offsetOf, type Section, type ThinLayout } from './thin-layout.ts'

/** What the metadata of an image is made from. Without data there are no marks, and no L2 tables. */
export interface ThinContents {
  readonly virtualSizeBytes: number
  readonly l1EntryCount: number
  readonly marked: { readonly data: DataClusters; readonly ranks: ClusterRanks } | null
  readonly layout: ThinLayout
}

/** The bytes of one cluster before the data, by its place in the image. Each is made alone, in any order. */
export function metadataCluster(contents: ThinContents, cluster: number): Uint8Array {
  const { layout } = contents
  const bytes = new Uint8Array(thinClusterSizeBytes)
  const view = new DataView(bytes.buffer)
  const within = (section: Section) => cluster - section.firstCluster
  if (cluster >= layout.l2Tables.firstCluster) writeL2Table(view, contents, within(layout.l2Tables))
  else if (cluster >= layout.l1Table.firstCluster) writeL1Table(view, contents, within(layout.l1Table))
  else if (cluster >= layout.refcountBlocks.firstCluster) {
    writeRefcountBlock(view, layout, within(layout.refcountBlocks))
  } else if (cluster >= layout.refcountTable.firstCluster) {
    writeRefcountTable(view, layout, within(layout.refcountTable))
  } else writeHeader(view, contents)
  return bytes
}

function writeHeader(view: DataView, { virtualSizeBytes, l1EntryCount, layout }: ThinContents): void {
  const values: Partial<Record<HeaderField, number>> = {
    magic: qcow2Magic,
    version: 3,
    cluster_bits: Math.log2(thinClusterSizeBytes),
    size: virtualSizeBytes,
    l1_size: l1EntryCount,
    l1_table_offset: offsetOf(layout.l1Table),
    refcount_table_offset: offsetOf(layout.refcountTable),
    refcount_table_clusters: layout.refcountTable.clusterCount,
    refcount_order: 4,
    header_length: headerWrittenSizeBytes,
  }
  for (const [name, value] of Object.entries(values)) {
    // Object.entries forgets that the keys are names of fields.
    const { offset, sizeBytes } = headerLayout[name as HeaderField]
    if (sizeBytes === 8) view.setBigUint64(offset, BigInt(value))
    else view.setUint32(offset, value)
  }
}

function writeRefcountTable(view: DataView, { refcountBlocks }: ThinLayout, index: number): void {
  const first = index * clustersPerTable
  for (let entry = 0; entry < clustersPerTable && first + entry < refcountBlocks.clusterCount; entry++) {
    writeOffset(view, entry, offsetOf(refcountBlocks) + (first + entry) * thinClusterSizeBytes, 0)
  }
}

function writeRefcountBlock(view: DataView, { clusterCount }: ThinLayout, index: number): void {
  const first = index * refcountsPerBlock
  for (let entry = 0; entry < refcountsPerBlock && first + entry < clusterCount; entry++) view.setUint16(entry * 2, 1)
}

function writeL1Table(view: DataView, { marked, layout }: ThinContents, index: number): void {
  if (marked === null) return
  for (let entry = 0; entry < clustersPerTable; entry++) {
    const rank = marked.ranks.tableRankOf(index * clustersPerTable + entry)
    if (rank !== null) writeOffset(view, entry, offsetOf(layout.l2Tables) + rank * thinClusterSizeBytes, copiedBit)
  }
}

function writeL2Table(view: DataView, { marked, layout }: ThinContents, index: number): void {
  if (marked === null) return
  const table = marked.ranks.tableAt(index)
  let offset = offsetOf(layout.data) + marked.ranks.firstRankOf(table) * thinClusterSizeBytes
  for (let entry = 0; entry < clustersPerTable; entry++) {
    if (!marked.data.has(table * clustersPerTable + entry)) continue
    writeOffset(view, entry, offset, copiedBit)
    offset += thinClusterSizeBytes
  }
}

function writeOffset(view: DataView, entry: number, offset: number, highBits: number): void {
  view.setUint32(entry * 8, Math.floor(offset / 2 ** 32) | highBits)
  view.setUint32(entry * 8 + 4, offset % 2 ** 32)
}
