import * as kmip from '../src/index.ts'
import type { XmlElement } from './xml.ts'

/**
 * TTLV bytes of a message in the XML encoding, made by hand and not with our codec, so that the two check each other.
 * Variables stand for themselves in text, and for something of their type elsewhere.
 */
export function encodeXml(element: XmlElement, attributeName = ''): Uint8Array {
  const tag = tagOf(element)
  const type = element.attributes['type'] ?? 'Structure'
  const value = element.attributes['value'] ?? ''
  switch (type) {
    case 'Structure':
      return item(tag, 1, Buffer.concat(encodeChildren(element.children)))
    case 'Integer':
      return item(tag, 2, uint(4, BigInt(integerOf(element.name, attributeName, value))))
    case 'LongInteger':
      return item(tag, 3, uint(8, BigInt(value)))
    case 'BigInteger':
      return item(tag, 4, bigInteger(value))
    case 'Enumeration':
      return item(tag, 5, uint(4, BigInt(enumerationOf(element.name, attributeName, value))))
    case 'Boolean':
      return item(tag, 6, uint(8, value === 'true' ? 1n : 0n))
    case 'TextString':
      return item(tag, 7, Buffer.from(value))
    case 'ByteString':
      return item(tag, 8, value.startsWith('$') ? Buffer.from(value) : Buffer.from(value.replaceAll(/\s/g, ''), 'hex'))
    case 'DateTime':
      return item(tag, 9, uint(8, BigInt(Math.trunc(dateOf(value).getTime() / 1000))))
    case 'Interval':
      return item(tag, 10, uint(4, BigInt(value)))
    default:
      throw new Error(`${element.name} has the unknown type ${type}`)
  }
}

/** An Attribute's value is of the kind that its name says. */
function encodeChildren(children: readonly XmlElement[]): Uint8Array[] {
  const name = children.find((child) => child.name === 'AttributeName')?.attributes['value'] ?? ''
  return children.map((child) => encodeXml(child, child.name === 'AttributeValue' ? name : ''))
}

function item(tag: number, type: number, value: Uint8Array): Uint8Array {
  const padding = type === 1 ? 0 : (8 - (value.length % 8)) % 8
  return Buffer.concat([uint(4, BigInt(tag * 256 + type)), uint(4, BigInt(value.length)), value, Buffer.alloc(padding)])
}

function uint(size: number, value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value))
  return bytes.subarray(8 - size)
}

function bigInteger(hex: string): Uint8Array {
  const bytes = Buffer.from(hex.replace(/^0x/, ''), 'hex')
  const fill = (8 - (bytes.length % 8)) % 8
  return Buffer.concat([Buffer.alloc(fill, (bytes[0] ?? 0) >= 0x80 ? 0xff : 0), bytes])
}

function tagOf(element: XmlElement): number {
  const name = element.name === 'TTLV' ? (element.attributes['tag'] ?? '') : element.name
  const number = name.startsWith('0x') ? Number(name) : (kmip.Tag as Readonly<Record<string, number>>)[name]
  if (number === undefined) throw new Error(`no tag is called ${name}`)
  return number
}

function dateOf(value: string): Date {
  if (value.startsWith('$NOW')) return new Date(1_500_000_000_000 + 1000 * Number(value.slice(4) || 0))
  return new Date(value.startsWith('0x') ? Number(value) * 1000 : value)
}

function integerOf(name: string, attributeName: string, value: string): number {
  if (/^-?\d+$|^0x/.test(value)) return Number(value) | 0
  const mask = `${name}${attributeName}`.includes('Storage') ? kmip.StorageStatusMask : kmip.CryptographicUsageMask
  return value
    .trim()
    .split(/[\s|]+/)
    .reduce((bits, bit) => bits | numberOf(mask, bit), 0)
}

/** The table for a tag has the tag's name; for an attribute's value, that of the attribute's own tag. */
function enumerationOf(name: string, attributeName: string, value: string): number {
  if (value.startsWith('0x')) return Number(value)
  const own = attributeName === '' ? name : kmip.tagName(kmip.standardAttribute(attributeName)?.tag ?? 0)
  const table = own === 'MaskGeneratorHashingAlgorithm' ? 'HashingAlgorithm' : own
  // Among the package's exports are the tables of the enumerations, by their names.
  const tables = kmip as unknown as Readonly<Record<string, Readonly<Record<string, number>>>>
  const found = table === null ? undefined : tables[table]
  if (found === undefined) throw new Error(`no enumeration is called ${own}`)
  return numberOf(found, value)
}

function numberOf(table: Readonly<Record<string, number>>, name: string): number {
  const number = table[name]
  if (number === undefined) throw new Error(`no value is called ${name}`)
  return number
}
