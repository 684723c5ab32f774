import { ItemType, itemTypeName } from '@cryptvisor/ttlv'
import * as kmip from '../index.ts'
import type { XmlElement } from './xml.ts'

/**
 * A TTLV item of a published case. It is encoded and decoded here by hand and not with our codec, so that the two check
 * each other.
 */
export interface Node {
  readonly name: string
  readonly type: ItemType
  /** Numbers and dates in decimal digits, bytes in hex, text as it is; `$...` is a variable of the case. */
  readonly value: string
  readonly children: readonly Node[]
}

type Table = Readonly<Record<string, number>>

const masks: Readonly<Record<string, Table>> = {
  CryptographicUsageMask: kmip.CryptographicUsageMask,
  StorageStatusMask: kmip.StorageStatusMask,
}

/** Turns the XML encoding of a message (KMIP profiles 1.4, 5.4) into items. */
export function nodeOf(element: XmlElement, attributeName = ''): Node {
  const { type: typeText = 'Structure', value = '' } = element.attributes
  const type = Object.hasOwn(ItemType, typeText) ? (typeText as ItemType) : 'Structure'
  const named = element.children.find((child) => child.name === 'AttributeName')?.attributes['value']
  const inner = named === undefined ? '' : named.replace(/\s+/g, ' ').trim()
  return {
    name: element.name === 'TTLV' ? (element.attributes['tag'] ?? '') : element.name,
    type,
    value: readValue(element.name === 'AttributeValue' ? camel(attributeName) : element.name, type, value),
    children: element.children.map((child) => nodeOf(child, inner)),
  }
}

function readValue(name: string, type: ItemType, value: string): string {
  if (value.startsWith('$')) return value
  switch (type) {
    case 'Structure':
      return ''
    case 'Enumeration':
      return String(numberOf(tableOf(name), value))
    case 'Integer': {
      const table = masks[name]
      const words = value.split(/[\s|]+/).filter((word) => word !== '')
      if (/^-?\d+$/.test(value)) return value
      if (/^0x/i.test(value)) return String(Number.parseInt(value, 16) | 0)
      return String(words.reduce((mask, word) => mask | numberOf(table ?? {}, word), 0))
    }
    case 'DateTime':
      return /^\d{4}-/.test(value) ? String(Math.floor(Date.parse(value) / 1000)) : String(Number(value))
    case 'TextString':
      return name === 'AttributeName' ? value.replace(/\s+/g, ' ').trim() : value
    case 'ByteString':
      return value.replace(/\s/g, '').toLowerCase()
    case 'BigInteger':
      return signExtended(value.replace(/^0x/i, '').toLowerCase())
    case 'LongInteger':
    case 'Boolean':
    case 'Interval':
    case 'DateTimeExtended':
      return value
  }
}

/** To a multiple of 8 bytes (KMIP 1.4, 9.1.1.4). */
function signExtended(hex: string): string {
  const fill = Number.parseInt(hex.slice(0, 2), 16) >= 0x80 ? 'f' : '0'
  return hex.padStart(Math.ceil(hex.length / 16) * 16, fill)
}

/** The enumeration that has the name of the item. */
function tableOf(name: string): Table {
  const tableName = name === 'MaskGeneratorHashingAlgorithm' ? 'HashingAlgorithm' : name
  const table: unknown = Object.entries(kmip).find(([exported]) => exported === tableName)?.[1]
  return typeof table === 'object' && table !== null ? (table as Table) : {}
}

function numberOf(table: Table, word: string): number {
  const number = table[word] ?? Number(word)
  if (Number.isInteger(number)) return number >>> 0
  throw new RangeError(`${word} is no value that is known`)
}

/** `Cryptographic Algorithm` as a tag is spelled. */
function camel(attributeName: string): string {
  return attributeName.replace(/[^A-Za-z0-9]/g, '')
}

/** Encodes items; `resolve` gives the value of a variable. */
export function encodeNode(node: Node, resolve: (variable: string, node: Node) => string): Buffer {
  const value = node.value.startsWith('$') ? resolve(node.value, node) : node.value
  const content =
    node.type === 'Structure'
      ? Buffer.concat(node.children.map((child) => encodeNode(child, resolve)))
      : encodeValue(node.type, value)
  const header = Buffer.alloc(8)
  header.writeUInt32BE(tagOf(node.name) * 256 + ItemType[node.type])
  header.writeUInt32BE(content.length, 4)
  return Buffer.concat([header, content, Buffer.alloc((8 - (content.length % 8)) % 8)])
}

/** Something of its type for a variable; the text itself where that will do. */
export function standIn(variable: string, { type }: Node): string {
  if (type === 'TextString') return variable
  return type === 'ByteString' ? Buffer.from(variable).toString('hex') : '1500000000'
}

function tagOf(name: string): number {
  const tag = /^0x/i.test(name) ? Number(name) : Object.entries(kmip.Tag).find(([known]) => known === name)?.[1]
  if (tag === undefined) throw new RangeError(`${name} is no tag`)
  return tag
}

function encodeValue(type: Exclude<ItemType, 'Structure'>, value: string): Buffer {
  const word = Buffer.alloc(type === 'Integer' || type === 'Enumeration' || type === 'Interval' ? 4 : 8)
  switch (type) {
    case 'Integer':
      word.writeInt32BE(Number(value))
      return word
    case 'Enumeration':
    case 'Interval':
      word.writeUInt32BE(Number(value))
      return word
    case 'LongInteger':
    case 'DateTime':
    case 'DateTimeExtended':
      word.writeBigInt64BE(BigInt(value))
      return word
    case 'Boolean':
      word.writeUInt8(value === 'true' || value === '1' ? 1 : 0, 7)
      return word
    case 'TextString':
      return Buffer.from(value)
    case 'ByteString':
    case 'BigInteger':
      return Buffer.from(value, 'hex')
  }
}

/** Decodes items without declarations. */
export function decodeNode(bytes: Buffer): Node {
  const tag = bytes.readUInt32BE() >>> 8
  const type = itemTypeName(bytes.readUInt8(3))
  if (type === null) throw new TypeError('an item has no known type')
  const content = bytes.subarray(8, 8 + bytes.readUInt32BE(4))
  return {
    name: kmip.tagName(tag) ?? tag.toString(16),
    type,
    value: type === 'Structure' ? '' : decodeValue(type, content),
    children: type === 'Structure' ? decodeNodes(content) : [],
  }
}

function decodeNodes(content: Buffer): Node[] {
  const nodes: Node[] = []
  for (let at = 0; at < content.length; at += 8 + Math.ceil(content.readUInt32BE(at + 4) / 8) * 8) {
    nodes.push(decodeNode(content.subarray(at)))
  }
  return nodes
}

function decodeValue(type: Exclude<ItemType, 'Structure'>, content: Buffer): string {
  switch (type) {
    case 'Integer':
      return String(content.readInt32BE())
    case 'Enumeration':
    case 'Interval':
      return String(content.readUInt32BE())
    case 'LongInteger':
    case 'DateTime':
    case 'DateTimeExtended':
      return String(content.readBigInt64BE())
    case 'Boolean':
      return content.readUInt8(7) === 1 ? 'true' : 'false'
    case 'TextString':
      return content.toString()
    case 'ByteString':
    case 'BigInteger':
      return content.toString('hex')
  }
}
