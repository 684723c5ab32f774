/** One file of a support bundle, told as lines while it is written. */
export interface BundlePart {
  /** Small letters, digits, `.`, `-` and `/`. */
  readonly name: string
  /** What it is, for whoever asks what would be in. */
  readonly about: string
  /** Its content. Each text is one line of a log, or a whole document; a value is written as a line of JSON. */
  lines(signal: AbortSignal): Lines
}

/** Lines of one file: texts as they are, values as JSON. */
export type Lines = AsyncIterable<unknown> | Iterable<unknown>

/** A file with one value, as JSON that people can read. */
export function documentPart(name: string, about: string, read: () => Promise<unknown> | unknown): BundlePart {
  return {
    name,
    about,
    async *lines() {
      yield new Document(await read())
    },
  }
}

/** A value that is written over several lines. */
export class Document {
  readonly value: unknown

  constructor(value: unknown) {
    this.value = value
  }
}
