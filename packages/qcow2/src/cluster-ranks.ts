import { bitCountOf, type DataClusters } from './data-clusters.ts'
import { clustersPerTable } from './thin-format.ts'

const wordsPerTable = clustersPerTable / 32

/**
 * The order of the clusters that have data, and of the L2 tables that describe any: which is the how-manieth, and back.
 * The marks must be complete. Takes 12 bytes for each 512 MiB of disk.
 */
export class ClusterRanks {
  readonly clusterCount: number
  readonly tableCount: number
  readonly #data: DataClusters
  /** The rank of a table's first cluster with data. */
  readonly #firstRanks: Float64Array
  /** The tables that describe any data, by rank. */
  readonly #tables: Uint32Array

  constructor(data: DataClusters, tableSlotCount: number) {
    this.#data = data
    this.#firstRanks = new Float64Array(tableSlotCount)
    const tables = new Uint32Array(tableSlotCount)
    let clusterCount = 0
    let tableCount = 0
    for (let table = 0; table < tableSlotCount; table++) {
      this.#firstRanks[table] = clusterCount
      const count = data.countIn(table)
      clusterCount += count
      if (count > 0) tables[tableCount++] = table
    }
    this.clusterCount = clusterCount
    this.tableCount = tableCount
    this.#tables = tables.subarray(0, tableCount)
  }

  /** How many clusters with data lie before the first one of `table`. */
  firstRankOf(table: number): number {
    return this.#firstRanks[table] ?? this.clusterCount
  }

  /** How many clusters with data lie before `cluster`, which has some, or null when it has none. */
  rankOf(cluster: number): number | null {
    if (!this.#data.has(cluster)) return null
    const table = Math.floor(cluster / clustersPerTable)
    const lastWord = Math.floor(cluster / 32)
    let rank = this.firstRankOf(table)
    for (let index = table * wordsPerTable; index < lastWord; index++) rank += bitCountOf(this.#data.word(index))
    const before = (1 << (cluster % 32)) - 1
    return rank + bitCountOf(this.#data.word(lastWord) & before)
  }

  /** The cluster of that rank, which is less than `clusterCount`. */
  clusterAt(rank: number): number {
    const table = this.tableAt(greatestUpTo(this.tableCount, rank, (index) => this.firstRankOf(this.tableAt(index))))
    let left = rank - this.firstRankOf(table)
    let index = table * wordsPerTable
    for (;;) {
      const count = bitCountOf(this.#data.word(index))
      if (left < count) break
      left -= count
      index++
    }
    let word = this.#data.word(index)
    // Takes away the lowest marks until the wanted one is the lowest.
    for (; left > 0; left--) word &= word - 1
    return index * 32 + (31 - Math.clz32(word & -word))
  }

  /** The table of that rank, which is less than `tableCount`. */
  tableAt(rank: number): number {
    return this.#tables[rank] ?? 0
  }

  /** How many tables that describe any data lie before `table`, which does, or null when it does not. */
  tableRankOf(table: number): number | null {
    if (this.#data.countIn(table) === 0) return null
    return greatestUpTo(this.tableCount, table, (index) => this.tableAt(index))
  }
}

/** The greatest index below `count` whose value is at most `limit`; values ascend and the first one is. */
function greatestUpTo(count: number, limit: number, valueAt: (index: number) => number): number {
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (valueAt(middle) <= limit) low = middle
    else high = middle - 1
  }
  return low
}
