/** Names of members and of settings whose values are never shown. */
const secretName =
  /pass(word|phrase|wd)|secret|token|authorization|cookie|credential|private.?key|client.?key|api.?key|\bpin\b|seed/i

/** `password=x`, `Authorization: Bearer x`, `"secret": "x"` in running text. */
const secretAssignment =
  /\b((?:[\w-]*(?:password|passphrase|passwd|secret|token|credential|api[_-]?key)|authorization|cookie)["']?\s*[:=]\s*)(?:(?:bearer|basic)\s+)?("[^"\n]*"|'[^'\n]*'|[^\s,;"'}\]]+)/gi

const bearer = /\b(bearer|basic)\s+[\w+/=.~-]{6,}/gi

const privateKeyBlock = /-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY( BLOCK)?-----[\s\S]*?(?:-----END \1PRIVATE KEY\2-----|$)/g

/** What a URL says before its host. */
const urlCredentials = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi

/** 16 bytes and more: the shortest key that anybody uses. A UUID has dashes, and is none. */
const hexDigits = /(?<![0-9A-Za-z])[0-9A-Fa-f]{32,}(?![0-9A-Za-z])/g
const hexInside = /[0-9a-f]{48,}|[0-9A-F]{48,}/g
const hexPairs = /\b(?:[0-9A-Fa-f]{2}[:\s-]){15,}[0-9A-Fa-f]{2}\b/g

/** Both alphabets of base64; 24 bytes and more. */
const base64Run = /[A-Za-z0-9+/_-]{32,}={0,2}/g
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi

/** Of random bytes, two fifths of the characters are capitals; paths and names have next to none. */
const capitalsMin = 5
const smallMin = 5

/** A list of so many whole numbers below 256 is bytes. */
const bytesMin = 16

/** Nothing of ours is nested deeper, and a cycle has no end. */
const depthMax = 24

/** As many different values keep their number. */
const numberedMax = 10_000

/**
 * Takes out of texts and values what looks like key material or a password, so that a support bundle can be sent to a stranger.
 * It is the second line: what is put into a bundle is chosen so that it has none. What is taken out twice has the same number
 * both times, which says that it was the same and nothing else of it.
 */
export class Redactor {
  readonly #kept = new Set<string>()
  readonly #numbers = new Map<string, number>()
  #removedCount = 0

  /** Leaves these as they are, whatever they look like: IDs of keys, fingerprints. */
  keep(...values: readonly (string | null | undefined)[]): void {
    for (const value of values) if (value !== null && value !== undefined && value !== '') this.#kept.add(value)
  }

  /** How much was taken out so far. */
  get removedCount(): number {
    return this.#removedCount
  }

  /** A text without what looks like a secret. */
  text(text: string): string {
    if (this.#kept.has(text)) return text
    return text
      .replace(privateKeyBlock, () => this.#removed('a private key'))
      .replace(urlCredentials, (_all, scheme: string) => `${scheme}${this.#removed('credentials')}@`)
      .replace(secretAssignment, (_all, name: string, value: string) => `${name}${this.#shown(value)}`)
      .replace(bearer, (_all, scheme: string) => `${scheme} ${this.#removed('a token')}`)
      .replace(hexPairs, (found) => this.#token(found, 'hex digits'))
      .replace(hexDigits, (found) => this.#token(found, `${found.length} hex digits`))
      .replace(hexInside, (found) => this.#token(found, `${found.length} hex digits`))
      .replace(base64Run, (found) => (this.#isRandom(found) ? this.#token(found, `${found.length} characters`) : found))
  }

  /** A value of JSON without what looks like a secret; what is no value of JSON is left out. */
  value(value: unknown, depth = 0): unknown {
    if (typeof value === 'string') return this.text(value)
    if (value === null || typeof value === 'number' || typeof value === 'boolean') return value
    if (typeof value !== 'object' || depth >= depthMax) return null
    if (ArrayBuffer.isView(value)) return this.#removed(`${value.byteLength} bytes`)
    if (Array.isArray(value)) {
      return areBytes(value) ? this.#removed(`${value.length} bytes`) : value.map((each) => this.value(each, depth + 1))
    }
    const entries = Object.entries(value)
    const values = entries.map(([, each]) => each)
    if (areBytes(values) && entries.every(([name], index) => name === String(index))) {
      return this.#removed(`${values.length} bytes`)
    }
    return Object.fromEntries(
      entries.map(([name, each]) => [
        this.text(name),
        secretName.test(name) && holdsText(each) ? this.#removed('a secret') : this.value(each, depth + 1),
      ]),
    )
  }

  /** One line of a log: JSON is looked at value by value. */
  line(line: string): string {
    if (line.startsWith('{')) {
      try {
        return JSON.stringify(this.value(JSON.parse(line)))
      } catch {
        // It was cut, or is no JSON: it is text.
      }
    }
    return this.text(line)
  }

  /** An ID that is kept stands behind a slash, too: `provider/ID`. */
  #isRandom(run: string): boolean {
    const others = run.split('/').filter((part) => !this.#kept.has(part))
    return isRandom(others.join('/'))
  }

  #shown(value: string): string {
    const quote = /^["']/.exec(value)?.[0] ?? ''
    return `${quote}${this.#removed('a secret')}${quote}`
  }

  #token(found: string, what: string): string {
    if (this.#kept.has(found)) return found
    let number = this.#numbers.get(found)
    if (number === undefined && this.#numbers.size < numberedMax) {
      number = this.#numbers.size + 1
      this.#numbers.set(found, number)
    }
    return this.#removed(number === undefined ? what : `${what}, no. ${number}`)
  }

  #removed(what: string): string {
    this.#removedCount++
    return `[removed: ${what}]`
  }
}

/** Whether a run of base64's characters looks like random bytes: not like a path, a name or words. */
function isRandom(run: string): boolean {
  const bare = run.replace(uuid, '')
  if (bare.length < 32) return false
  const capitals = bare.match(/[A-Z]/g)?.length ?? 0
  const small = bare.match(/[a-z]/g)?.length ?? 0
  return capitals >= capitalsMin && small >= smallMin
}

function areBytes(values: readonly unknown[]): boolean {
  return (
    values.length >= bytesMin &&
    values.every((each) => typeof each === 'number' && Number.isInteger(each) && each >= 0 && each <= 255)
  )
}

/** Counts, states and dates of secrets are no secrets; texts and what has texts in it may be. */
function holdsText(value: unknown): boolean {
  if (typeof value === 'string') return true
  return typeof value === 'object' && value !== null
}
