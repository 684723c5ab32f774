import { clustersPerTable, refcountsPerBlock, thinClusterSizeBytes } from './thin-format.ts'

/** Some clusters in a row, counted from the start of the image. */
export interface Section {
  readonly firstCluster: number
  readonly clusterCount: number
}

/** Where everything lies in an image that we write: header, refcounts, L1 table, L2 tables, data; nothing between. */
export interface ThinLayout {
  readonly header: Section
  readonly refcountTable: Section
  readonly refcountBlocks: Section
  readonly l1Table: Section
  readonly l2Tables: Section
  readonly data: Section
  readonly clusterCount: number
}

/** Lays out an image with that many entries in the L1 table, L2 tables and clusters of data. */
export function layOut(l1EntryCount: number, l2TableCount: number, dataClusterCount: number): ThinLayout {
  const l1ClusterCount = Math.ceil(l1EntryCount / clustersPerTable)
  const counted = 1 + l1ClusterCount + l2TableCount + dataClusterCount
  const refcounts = refcountSizes(counted)
  const header = { firstCluster: 0, clusterCount: 1 }
  const refcountTable = after(header, refcounts.tableClusterCount)
  const refcountBlocks = after(refcountTable, refcounts.blockCount)
  const l1Table = after(refcountBlocks, l1ClusterCount)
  const l2Tables = after(l1Table, l2TableCount)
  const data = after(l2Tables, dataClusterCount)
  const clusterCount = data.firstCluster + data.clusterCount
  return { header, refcountTable, refcountBlocks, l1Table, l2Tables, data, clusterCount }
}

/** Where a section's first byte lies. */
export function offsetOf(section: Section): number {
  return section.firstCluster * thinClusterSizeBytes
}

/** Refcount table and blocks count themselves too: they grow until all is counted. */
function refcountSizes(countedClusterCount: number) {
  let blockCount = 0
  let tableClusterCount = 0
  for (;;) {
    const total = countedClusterCount + blockCount + tableClusterCount
    const blocksNeeded = Math.ceil(total / refcountsPerBlock)
    const tableClustersNeeded = Math.ceil(blocksNeeded / clustersPerTable)
    if (blocksNeeded === blockCount && tableClustersNeeded === tableClusterCount) {
      return { blockCount, tableClusterCount }
    }
    blockCount = blocksNeeded
    tableClusterCount = tableClustersNeeded
  }
}

function after(section: Section, clusterCount: number): Section {
  return { firstCluster: section.firstCluster + section.clusterCount, clusterCount }
}
