import { LuksError } from './luks-error.ts'

/** An object of a LUKS2 header's JSON area, which names the field that is not what it must be. */
export class JsonObject {
  readonly path: string
  readonly #fields: Readonly<Record<string, unknown>>

  private constructor(fields: Readonly<Record<string, unknown>>, path: string) {
    this.#fields = fields
    this.path = path
  }

  /** Parses the whole area. Throws a LuksError `bad-json` for a text that is not one JSON object. */
  static parse(text: string): JsonObject {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      // The parser's own error quotes the text, which may be anything.
      throw new LuksError(
        'bad-json',
        "the JSON area of the LUKS2 header is not JSON: it was damaged or wasn't finished",
      )
    }
    return JsonObject.from(value, 'JSON area', 'bad-json')
  }

  /** Takes `value` for an object; `path` is its place. */
  static from(value: unknown, path: string, code: 'bad-json' | 'bad-field' = 'bad-field'): JsonObject {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new LuksError(code, `the LUKS2 header: ${path} is not an object`)
    }
    // An object out of JSON.parse.
    return new JsonObject(value as Record<string, unknown>, path)
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name)
  }

  object(name: string): JsonObject {
    return JsonObject.from(this.#value(name), this.#pathOf(name))
  }

  /** The members of an object of objects, by their numbers: at most `countMax`. */
  numbered(name: string, countMax: number): readonly (readonly [id: number, object: JsonObject])[] {
    const holder = this.object(name)
    const entries = Object.entries(holder.#fields)
    if (entries.length > countMax) throw holder.#bad(`at most ${countMax} members, got ${entries.length}`)
    return entries.map(([id, value]) => {
      if (!isIndex(id)) throw holder.#bad('members that are numbered')
      return [Number(id), JsonObject.from(value, `${holder.path}.${id}`)] as const
    })
  }

  /** A text; at most 64 characters of printable ASCII, so that it can be shown. */
  text(name: string): string {
    const value = this.#value(name)
    if (typeof value !== 'string' || !/^[!-~]{1,64}$/.test(value)) {
      throw this.#bad('a text of 1 to 64 printable characters', name)
    }
    return value
  }

  /** A JSON number, whole, from `min` to `max`. */
  integer(name: string, min: number, max: number): number {
    const value = this.#value(name)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw this.#bad(`a whole number from ${min} to ${max}`, name)
    }
    return value
  }

  /** A number of 64 bits, which LUKS2 writes as a decimal text; up to 2^53 - 1. */
  bigInteger(name: string): number {
    const value = this.#value(name)
    const number = typeof value === 'string' && /^(0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : Number.NaN
    if (!Number.isSafeInteger(number))
      throw this.#bad(`a decimal number as text, up to ${Number.MAX_SAFE_INTEGER}`, name)
    return number
  }

  /** Bytes in Base64, `min` to `max` of them. */
  bytes(name: string, min: number, max: number): Uint8Array {
    const value = this.#value(name)
    const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.alloc(0)
    if (bytes.length < min || bytes.length > max || bytes.toString('base64') !== value) {
      throw this.#bad(`${min} to ${max} bytes in Base64`, name)
    }
    return Uint8Array.from(bytes)
  }

  /** A list of texts, at most `countMax`. */
  texts(name: string, countMax: number): readonly string[] {
    const value = this.#value(name)
    const texts: readonly unknown[] = Array.isArray(value) ? value : [null]
    if (texts.length > countMax || !texts.every((entry) => typeof entry === 'string' && /^[!-~]{1,64}$/.test(entry))) {
      throw this.#bad(`a list of at most ${countMax} texts`, name)
    }
    // Every entry was found to be a text.
    return texts as readonly string[]
  }

  /** A list of the numbers of other members, which LUKS2 writes as texts. */
  references(name: string, countMax: number): readonly number[] {
    const texts = this.texts(name, countMax)
    if (!texts.every(isIndex)) throw this.#bad('a list of numbers as texts', name)
    return texts.map(Number)
  }

  #value(name: string): unknown {
    if (!this.has(name)) throw new LuksError('bad-field', `the LUKS2 header: ${this.#pathOf(name)} is missing`)
    return this.#fields[name]
  }

  #pathOf(name: string): string {
    return this.path === 'JSON area' ? name : `${this.path}.${name}`
  }

  #bad(expected: string, name?: string): LuksError {
    const path = name === undefined ? this.path : this.#pathOf(name)
    return new LuksError('bad-field', `the LUKS2 header: ${path} is not what it must be, expected ${expected}`)
  }
}

function isIndex(text: string): boolean {
  return /^(0|[1-9][0-9]{0,2})$/.test(text)
}
