import { BerError, BerReader, numberIn } from './ber-reader.ts'

/** An entry as the directory gave it: values are bytes, names of attributes are in lower case. */
export interface LdapEntry {
  readonly dn: string
  readonly attributes: ReadonlyMap<string, readonly Buffer[]>
}

/** How a question ended (LDAPResult). `diagnostic` was written by the directory; `cookie`: there are more pages. */
export interface LdapResult {
  readonly kind: 'bind' | 'search' | 'extended'
  readonly code: number
  readonly diagnostic: string
  readonly cookie: Buffer | null
}

/** A message of a directory; `other`: one that says nothing that we ask for. */
export interface LdapResponse {
  readonly messageId: number
  readonly body: LdapResult | { readonly kind: 'entry'; readonly entry: LdapEntry } | { readonly kind: 'other' }
}

const sequence = 0x30
const set = 0x31
const integer = 0x02
const octets = 0x04
const enumerated = 0x0a
const controls = 0xa0
const bindResponse = 0x61
const searchEntry = 0x64
const searchDone = 0x65
const searchReference = 0x73
const extendedResponse = 0x78
const intermediateResponse = 0x79
const results: ReadonlyMap<number, LdapResult['kind']> = new Map([
  [bindResponse, 'bind'],
  [searchDone, 'search'],
  [extendedResponse, 'extended'],
])

/** RFC 2696. */
const pagedResults = '1.2.840.113556.1.4.319'

/** Reads one LDAPMessage (RFC 4511, 4.1.1), all of `bytes`. Throws `BerError`. */
export function decodeResponse(bytes: Buffer): LdapResponse {
  const outer = new BerReader(bytes)
  const message = new BerReader(outer.take(sequence))
  outer.end()
  const messageId = numberIn(message.take(integer))
  const { tag, content } = message.next()
  const cookie = message.isAtEnd ? null : cookieIn(message.take(controls))
  const kind = results.get(tag)
  if (kind !== undefined) return { messageId, body: { kind, ...resultIn(content), cookie } }
  if (tag === searchEntry) return { messageId, body: { kind: 'entry', entry: entryIn(content) } }
  if (tag === searchReference || tag === intermediateResponse) return { messageId, body: { kind: 'other' } }
  throw new BerError(`no directory sends a message of the kind ${tag}`)
}

/** Referrals, and what an extension adds, are not looked at. */
function resultIn(content: Buffer): { readonly code: number; readonly diagnostic: string } {
  const reader = new BerReader(content)
  const code = numberIn(reader.take(enumerated))
  reader.take(octets)
  return { code, diagnostic: reader.take(octets).toString('utf8') }
}

function entryIn(content: Buffer): LdapEntry {
  const reader = new BerReader(content)
  const dn = textIn(reader.take(octets))
  const list = new BerReader(reader.take(sequence))
  const attributes = new Map<string, readonly Buffer[]>()
  while (!list.isAtEnd) {
    const attribute = new BerReader(list.take(sequence))
    const name = textIn(attribute.take(octets)).toLowerCase()
    const values = new BerReader(attribute.take(set))
    const read: Buffer[] = []
    while (!values.isAtEnd) read.push(values.take(octets))
    if (attributes.has(name)) throw new BerError('an entry has an attribute twice')
    if (read.length > 0) attributes.set(name, read)
  }
  return { dn, attributes }
}

function cookieIn(content: Buffer): Buffer | null {
  const list = new BerReader(content)
  let cookie: Buffer | null = null
  while (!list.isAtEnd) {
    const control = new BerReader(list.take(sequence))
    if (control.take(octets).toString('latin1') !== pagedResults) continue
    let value = control.next()
    // «criticality» may stand before the value.
    if (value.tag === 0x01) value = control.next()
    const page = new BerReader(new BerReader(value.content).take(sequence))
    page.take(integer)
    const found = page.take(octets)
    cookie = found.length === 0 ? null : found
  }
  return cookie
}

/** A DN or a name that is not what was written would be another one. */
function textIn(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new BerError('a name is not in UTF-8')
  }
}
