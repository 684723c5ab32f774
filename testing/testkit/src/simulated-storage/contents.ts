/** What is allocated at once, as file systems do it. */
export const pageBytes = 4096

/** How many pages are copied together when one of them changes. */
const pagesPerChunk = 256

type Page = Uint8Array | undefined

/** Reads as a hole does, and takes room. */
const zeroPage: Uint8Array = new Uint8Array(pageBytes)

/**
 * The bytes of a file at one moment. Never changed: each change gives another one, which shares all pages that it leaves
 * alone. Past the end and in holes there are no pages.
 */
export class Contents {
  static readonly empty: Contents = new Contents(0, new Map(), 0)

  readonly sizeBytes: number
  /** How many pages take room. */
  readonly pageCount: number
  readonly #chunks: ReadonlyMap<number, readonly Page[]>

  private constructor(sizeBytes: number, chunks: ReadonlyMap<number, readonly Page[]>, pageCount: number) {
    this.sizeBytes = sizeBytes
    this.pageCount = pageCount
    this.#chunks = chunks
  }

  /** Fills all of `target` from `position` on, or as much of it as there is; gives how much. */
  read(target: Uint8Array, position: number): number {
    const end = Math.min(this.sizeBytes, position + target.length)
    for (const { index, from, to } of pagesOf(position, end)) {
      const start = index * pageBytes
      const page = this.#page(index) ?? zeroPage
      target.set(page.subarray(from - start, to - start), from - position)
    }
    return Math.max(0, end - position)
  }

  /** With `bytes` at `position`, which it keeps: they must not change any more. */
  write(bytes: Uint8Array, position: number): Contents {
    const end = position + bytes.length
    return this.#change(Math.max(this.sizeBytes, end), (pages) => {
      for (const { index, from, to } of pagesOf(position, end)) {
        const part = bytes.subarray(from - position, to - position)
        pages.put(index, part.length === pageBytes ? part : patched(pages.get(index), part, from - index * pageBytes))
      }
    })
  }

  /** Cut off or lengthened by a hole. */
  resize(sizeBytes: number): Contents {
    return this.#change(sizeBytes, (pages) => pages.cutOff(sizeBytes))
  }

  /** With room for all of its first `sizeBytes`, and at least that long. */
  allocate(sizeBytes: number): Contents {
    return this.#change(Math.max(this.sizeBytes, sizeBytes), (pages) => {
      for (const { index } of pagesOf(0, sizeBytes)) pages.put(index, pages.get(index) ?? zeroPage)
    })
  }

  /** With what `other` has from `start` to `end`; as long as before, so that some of it may lie past the end: `resize` is to follow. */
  overlaid(other: Contents, start: number, end: number): Contents {
    return this.#change(this.sizeBytes, (pages) => {
      for (const { index, from, to } of pagesOf(start, end)) {
        const [page, first] = [other.#page(index), index * pageBytes]
        const whole = to - from === pageBytes
        const part = (page ?? zeroPage).subarray(from - first, to - first)
        pages.put(index, whole ? page : patched(pages.get(index), part, from - first))
      }
    })
  }

  /** How many pages `write` or `allocate` would have to take from `start` to `end`. */
  missingPages(start: number, end: number): number {
    let count = 0
    for (const { index } of pagesOf(start, end)) if (this.#page(index) === undefined) count++
    return count
  }

  #page(index: number): Page {
    return this.#chunks.get(Math.floor(index / pagesPerChunk))?.[index % pagesPerChunk]
  }

  #change(sizeBytes: number, change: (pages: PageTable) => void): Contents {
    const pages = new PageTable(this.#chunks, this.pageCount)
    change(pages)
    return new Contents(sizeBytes, pages.chunks, pages.pageCount)
  }
}

/** Pages that are being changed; chunks are copied when they are first touched. */
class PageTable {
  readonly chunks: Map<number, readonly Page[]>
  pageCount: number
  readonly #copied = new Map<number, Page[]>()

  constructor(chunks: ReadonlyMap<number, readonly Page[]>, pageCount: number) {
    this.chunks = new Map(chunks)
    this.pageCount = pageCount
  }

  get(index: number): Page {
    return this.chunks.get(Math.floor(index / pagesPerChunk))?.[index % pagesPerChunk]
  }

  put(index: number, page: Page): void {
    const chunk = this.#own(Math.floor(index / pagesPerChunk))
    const at = index % pagesPerChunk
    this.pageCount += Number(page !== undefined) - Number(chunk[at] !== undefined)
    chunk[at] = page
  }

  /** Drops all pages from `sizeBytes` on; the rest of the last one becomes zeros. */
  cutOff(sizeBytes: number): void {
    const last = Math.floor(sizeBytes / pageBytes)
    const [kept, page] = [sizeBytes % pageBytes, this.get(last)]
    if (kept > 0 && page !== undefined) this.put(last, patched(undefined, page.subarray(0, kept), 0))
    const first = kept > 0 ? last + 1 : last
    for (const [number, chunk] of this.chunks) {
      for (let at = Math.max(0, first - number * pagesPerChunk); at < chunk.length; at++) {
        if (chunk[at] !== undefined) this.put(number * pagesPerChunk + at, undefined)
      }
    }
  }

  #own(number: number): Page[] {
    const copied = this.#copied.get(number)
    if (copied !== undefined) return copied
    const copy: Page[] = [...(this.chunks.get(number) ?? new Array<Page>(pagesPerChunk).fill(undefined))]
    this.#copied.set(number, copy)
    this.chunks.set(number, copy)
    return copy
  }
}

function patched(page: Page, part: Uint8Array, at: number): Uint8Array {
  const copy = page === undefined ? new Uint8Array(pageBytes) : new Uint8Array(page)
  copy.set(part, at)
  return copy
}

/** The pages that the bytes from `start` to `end` touch, each with the part of the bytes that lies in it. */
function* pagesOf(start: number, end: number): Generator<{ index: number; from: number; to: number }> {
  for (let from = start; from < end; ) {
    const index = Math.floor(from / pageBytes)
    const to = Math.min(end, (index + 1) * pageBytes)
    yield { index, from, to }
    from = to
  }
}
