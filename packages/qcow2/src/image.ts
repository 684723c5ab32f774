import { ClusterMap, type L1Table } from './cluster-map.ts'
import { Qcow2Disk } from './disk.ts'
import { refuseForeignData } from './foreign-data.ts'
import { headerAreaSizeMaxBytes, parseQcow2Header, type Qcow2Header } from './header.ts'
import type { ImageSource } from './image-source.ts'
import { readSnapshots, type Snapshot } from './snapshot.ts'
import { TableReader } from './table-reader.ts'

/** A qcow2 image of version 2 or 3 that is whole by itself, to read from. Refcounts are not looked at. */
export class Qcow2Image {
  readonly header: Qcow2Header
  /** The active state. */
  readonly disk: Qcow2Disk
  readonly #source: ImageSource
  readonly #tables: TableReader

  /**
   * Reads the header and looks at the L1 table. Throws a Qcow2Error: `bad-header`, `unsupported-feature`,
   * `bad-table-entry`, `truncated`, and what `refuseForeignData` throws.
   */
  constructor(source: ImageSource) {
    this.#source = source
    this.#tables = new TableReader(source)
    this.header = parseQcow2Header(this.#tables.bytes(0, Math.min(headerAreaSizeMaxBytes, source.sizeBytes)))
    refuseForeignData(this.header)
    const { l1TableOffset: offsetBytes, l1EntryCount: entryCount, virtualSizeBytes: diskSizeBytes } = this.header
    this.disk = this.#diskOf({ offsetBytes, entryCount, diskSizeBytes })
  }

  /** The internal snapshots. Throws a Qcow2Error `bad-snapshot-table`, `truncated`. */
  snapshots(): readonly Snapshot[] {
    return readSnapshots(this.#tables, this.header)
  }

  /** The disk as it was when `snapshot`, one of `snapshots()`, was taken. Throws a Qcow2Error as the constructor does. */
  diskAt(snapshot: Snapshot): Qcow2Disk {
    return this.#diskOf(snapshot.l1)
  }

  #diskOf(l1: L1Table): Qcow2Disk {
    const map = new ClusterMap(this.#tables, this.header, l1, this.#source.sizeBytes)
    map.boundL2Tables()
    return new Qcow2Disk(this.#source, this.header, map, l1.diskSizeBytes)
  }
}
