/** No DN that we look at is longer, in characters. */
const dnSizeMax = 2048

/** One attribute of one component of a DN; compared without regard to case, as directories do for names. */
interface NamePart {
  readonly type: string
  readonly value: string
}

/** The components of a DN (RFC 4514), from the entry's own to the root's; each has its attributes in order. */
export type DistinguishedName = readonly (readonly NamePart[])[]

/** Reads a DN; `null`: it is none, or one with values in BER (`#…`), which no directory writes for names. */
export function parseDn(text: string): DistinguishedName | null {
  if (text.length > dnSizeMax || text.trim() === '') return null
  const components: NamePart[][] = []
  for (const component of splitAt(text, ',;')) {
    const parts: NamePart[] = []
    for (const part of splitAt(component, '+')) {
      const read = readPart(part)
      if (read === null) return null
      parts.push(read)
    }
    components.push(parts.sort((one, other) => (one.type < other.type ? -1 : 1)))
  }
  return components
}

/** The same text for all that name the same entry; `null`: it is no DN. */
export function normalDn(text: string): string | null {
  const name = parseDn(text)
  if (name === null) return null
  return name.map((parts) => parts.map(({ type, value }) => `${type}=${escaped(value)}`).join('+')).join(',')
}

/** Whether `text` names an entry below `base`; what is no DN is below nothing. */
export function isBelow(text: string, base: string): boolean {
  const name = normalDn(text)
  const above = normalDn(base)
  return name !== null && above !== null && name.endsWith(`,${above}`)
}

/** The value of the entry's own component, as it is written there, when that has this one attribute alone; else `null`. */
export function ownName(text: string, type: string): string | null {
  const [component] = splitAt(text, ',;')
  if (component === undefined || splitAt(component, '+').length !== 1) return null
  const part = readPart(component, true)
  return part === null || part.type !== type.toLowerCase() ? null : part.value
}

/** Splits where a separator stands that is neither escaped nor quoted. */
function splitAt(text: string, separators: string): string[] {
  const pieces: string[] = []
  let start = 0
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index)
    if (character === '\\') index++
    else if (separators.includes(character)) {
      pieces.push(text.slice(start, index))
      start = index + 1
    }
  }
  pieces.push(text.slice(start))
  return pieces
}

function readPart(text: string, asWritten = false): NamePart | null {
  const [, type, raw] = /^ *([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+) *=(.*)$/su.exec(text) ?? []
  if (type === undefined || raw === undefined || raw.trimStart().startsWith('#')) return null
  const value = unescaped(raw)
  if (value === null || value === '') return null
  return { type: type.toLowerCase(), value: asWritten ? value : value.toLowerCase().normalize('NFC') }
}

/** Takes off escapes, and the blanks around that are not escaped; `null`: an escape is none. */
function unescaped(raw: string): string | null {
  const bytes: number[] = []
  let sizeWithoutBlanks = 0
  const text = raw.replace(/^ +/u, '')
  for (let index = 0; index < text.length; ) {
    if (text.charAt(index) !== '\\') {
      const character = String.fromCodePoint(text.codePointAt(index) ?? 0)
      bytes.push(...Buffer.from(character, 'utf8'))
      index += character.length
      if (character !== ' ') sizeWithoutBlanks = bytes.length
      continue
    }
    const hex = /^[0-9A-Fa-f]{2}/.exec(text.slice(index + 1))?.[0]
    const special = text.charAt(index + 1)
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16))
    else if (special !== '' && ' "#+,;<=>\\'.includes(special)) bytes.push(special.charCodeAt(0))
    else return null
    index += hex === undefined ? 2 : 3
    sizeWithoutBlanks = bytes.length
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(bytes.slice(0, sizeWithoutBlanks)),
    )
  } catch {
    return null
  }
}

const escaped = (value: string) =>
  value.replace(/[\\,+="<>;#\0]|^ | $/gu, (found) => `\\${found.charCodeAt(0).toString(16).padStart(2, '0')}`)
