import type { Luck } from './survival.ts'

/** Which node has which name. */
export type Entries = ReadonlyMap<string, number>

/** A change of names: each comes to the disk whole or not at all. */
export type NameChange =
  | { readonly kind: 'put'; readonly name: string; readonly node: number }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly node: number }

/** A folder: what of its names is durable, and what is not yet. Never changed: each change gives another one. */
export class FolderNode {
  readonly kind = 'folder'
  /** As programs see them. */
  readonly entries: Entries
  readonly modifiedNs: bigint
  readonly #durable: Entries
  readonly #changes: readonly NameChange[]

  private constructor(durable: Entries, changes: readonly NameChange[], entries: Entries, modifiedNs: bigint) {
    this.#durable = durable
    this.#changes = changes
    this.entries = entries
    this.modifiedNs = modifiedNs
  }

  /** One that is durable as it is. */
  static of(entries: Entries, modifiedNs: bigint): FolderNode {
    return new FolderNode(entries, [], entries, modifiedNs)
  }

  change(change: NameChange, modifiedNs: bigint): FolderNode {
    const entries = new Map(this.entries)
    apply(entries, change)
    return new FolderNode(this.#durable, [...this.#changes, change], entries, modifiedNs)
  }

  /** With a durable entry more, whatever is not durable yet. */
  planted(name: string, node: number, modifiedNs: bigint): FolderNode {
    const put = (entries: Entries) => new Map(entries).set(name, node)
    return new FolderNode(put(this.#durable), this.#changes, put(this.entries), modifiedNs)
  }

  /** All that was done in it is durable. */
  synced(): FolderNode {
    return FolderNode.of(this.entries, this.modifiedNs)
  }

  /**
   * What a machine finds that lost its power now: any of the changes, as a journalling file system keeps them: one survives
   * only when those before it did that had to do with the same name. So a rename leaves the file under the one name or the other.
   */
  settled(luck: Luck): FolderNode {
    const entries = new Map(this.#durable)
    const lost = new Set<string>()
    for (const change of this.#changes) {
      const names = change.kind === 'rename' ? [change.from, change.to] : [change.name]
      if (names.every((name) => !lost.has(name)) && luck.survives()) apply(entries, change)
      else for (const name of names) lost.add(name)
    }
    return FolderNode.of(entries, this.modifiedNs)
  }
}

function apply(entries: Map<string, number>, change: NameChange): void {
  if (change.kind === 'put') entries.set(change.name, change.node)
  else if (change.kind === 'remove') entries.delete(change.name)
  else {
    entries.delete(change.from)
    entries.set(change.to, change.node)
  }
}
