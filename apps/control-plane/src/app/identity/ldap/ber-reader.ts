/** What came is not the BER that LDAP uses (RFC 4511, 5.1). */
export class BerError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BerError'
  }
}

/** One value: its tag, and what is in it. */
export interface BerValue {
  readonly tag: number
  readonly content: Buffer
}

/** Reads values one after another, and nothing beyond the end of what holds them. */
export class BerReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** Throws `BerError` where there is none, or not all of it. */
  next(): BerValue {
    const head = headOf(this.#bytes.subarray(this.#at))
    const tag = this.#bytes[this.#at]
    if (head === null || tag === undefined) throw new BerError('a value is cut off')
    const from = this.#at + head.headSize
    if (head.contentSize > this.#bytes.length - from) throw new BerError('a value is longer than what holds it')
    this.#at = from + head.contentSize
    return { tag, content: this.#bytes.subarray(from, this.#at) }
  }

  /** The content of the next value, which has to have this tag. Throws `BerError`. */
  take(tag: number): Buffer {
    const value = this.next()
    if (value.tag !== tag) throw new BerError(`there is a value of another kind (${value.tag}, not ${tag})`)
    return value.content
  }

  /** Throws `BerError` where anything is left. */
  end(): void {
    if (!this.isAtEnd) throw new BerError('there is something after the last value')
  }
}

/** How long tag and length are, and what follows them; `null`: they are not all there. Throws `BerError`. */
export function headOf(bytes: Buffer): { readonly headSize: number; readonly contentSize: number } | null {
  const [tag, first] = bytes
  if (tag !== undefined && (tag & 0x1f) === 0x1f)
    throw new BerError('a tag is of the long form, which LDAP does not use')
  if (first === undefined) return null
  if (first < 0x80) return { headSize: 2, contentSize: first }
  const count = first - 0x80
  if (count < 1 || count > 4) throw new BerError('a length is indefinite, or too long')
  if (bytes.length < 2 + count) return null
  return { headSize: 2 + count, contentSize: bytes.readUIntBE(2, count) }
}

/** Of an INTEGER or ENUMERATED that is not negative. Throws `BerError`. */
export function numberIn(content: Buffer): number {
  const [first] = content
  if (first === undefined || content.length > 4 || first >= 0x80) throw new BerError('a number is not in its range')
  return content.readUIntBE(0, content.length)
}
