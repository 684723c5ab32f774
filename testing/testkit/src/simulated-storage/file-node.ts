import type { Contents } from './contents.ts'
import { allOrNothing, type Luck, sectorBytes } from './survival.ts'

/** What was done to a file: bytes written, its end moved, room taken for all up to there. */
type Effect =
  | { readonly kind: 'write'; readonly start: number; readonly end: number }
  | { readonly kind: 'resize' | 'allocate'; readonly sizeBytes: number }

const allLuck = allOrNothing(true)

/** A change since the file was last durable. */
interface Change {
  readonly effect: Effect
  /** The file as it was right after. */
  readonly after: Contents
  readonly modifiedNs: bigint
  /** `given-up` by a sync that failed; then what is `durable` stands here all the same, in its place after that. */
  readonly state: 'open' | 'given-up' | 'durable'
}

/** Changes, the latest first: adding one copies none. */
interface Chain {
  readonly change: Change
  readonly previous: Chain | null
}

/** A file or a device: what of it is durable, and what is not yet. Never changed: each change gives another one. */
export class FileNode {
  readonly kind: 'file' | 'device'
  readonly #durable: Contents
  readonly #durableNs: bigint
  readonly #changes: Chain | null

  constructor(kind: 'file' | 'device', durable: Contents, durableNs: bigint, changes: Chain | null = null) {
    this.kind = kind
    this.#durable = durable
    this.#durableNs = durableNs
    this.#changes = changes
  }

  /** As programs see it. */
  get contents(): Contents {
    return this.#changes?.change.after ?? this.#durable
  }

  get modifiedNs(): bigint {
    return this.#changes?.change.modifiedNs ?? this.#durableNs
  }

  /** Keeps `bytes`, which must not change any more. */
  write(bytes: Uint8Array, position: number, modifiedNs: bigint): FileNode {
    const effect: Effect = { kind: 'write', start: position, end: position + bytes.length }
    return this.#after(effect, this.contents.write(bytes, position), modifiedNs)
  }

  resize(sizeBytes: number, modifiedNs: bigint): FileNode {
    return this.#after({ kind: 'resize', sizeBytes }, this.contents.resize(sizeBytes), modifiedNs)
  }

  allocate(sizeBytes: number, modifiedNs: bigint): FileNode {
    return this.#after({ kind: 'allocate', sizeBytes }, this.contents.allocate(sizeBytes), modifiedNs)
  }

  /** All that was done is durable, but for what an earlier sync gave up: Linux writes that no more. */
  synced(): FileNode {
    const changes = inOrder(this.#changes)
    if (!changes.some(({ state }) => state === 'given-up')) {
      return new FileNode(this.kind, this.contents, this.modifiedNs)
    }
    return this.#marked(changes, 'durable')
  }

  /** A sync failed: what was not durable may be on the disk or not, whatever syncs come. */
  syncFailed(): FileNode {
    return this.#marked(inOrder(this.#changes), 'given-up')
  }

  /** What a machine finds that lost its power now: each sector as it was at any moment since it was last durable. */
  settled(luck: Luck): FileNode {
    let [contents, modifiedNs, sizeBefore] = [this.#durable, this.#durableNs, this.#durable.sizeBytes]
    for (const { effect, after, modifiedNs: changedNs, state } of inOrder(this.#changes)) {
      const fate = state === 'durable' ? allLuck : luck
      const before = contents
      if (effect.kind === 'write') {
        for (const [start, end] of fate.runs(effect.start, effect.end)) {
          contents = contents.overlaid(after, ...wholeSectors(start, end))
        }
        const grew = after.sizeBytes > sizeBefore && after.sizeBytes > contents.sizeBytes
        if (grew) contents = contents.resize(fate.grown(contents.sizeBytes, after.sizeBytes))
      } else if (fate.survives()) {
        contents = effect.kind === 'resize' ? contents.resize(effect.sizeBytes) : contents.allocate(effect.sizeBytes)
      }
      if (contents !== before) modifiedNs = changedNs
      sizeBefore = after.sizeBytes
    }
    return new FileNode(this.kind, contents.resize(contents.sizeBytes), modifiedNs)
  }

  #after(effect: Effect, after: Contents, modifiedNs: bigint): FileNode {
    const change: Change = { effect, after, modifiedNs, state: 'open' }
    return new FileNode(this.kind, this.#durable, this.#durableNs, { change, previous: this.#changes })
  }

  /** With what was open in another state. */
  #marked(changes: readonly Change[], state: Change['state']): FileNode {
    let chain: Chain | null = null
    for (const change of changes) {
      chain = { change: change.state === 'open' ? { ...change, state } : change, previous: chain }
    }
    return new FileNode(this.kind, this.#durable, this.#durableNs, chain)
  }
}

function inOrder(chain: Chain | null): Change[] {
  const changes: Change[] = []
  for (let at = chain; at !== null; at = at.previous) changes.push(at.change)
  return changes.reverse()
}

function wholeSectors(start: number, end: number): [start: number, end: number] {
  return [Math.floor(start / sectorBytes) * sectorBytes, Math.ceil(end / sectorBytes) * sectorBytes]
}
