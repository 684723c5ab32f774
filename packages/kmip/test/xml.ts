/** An element of a test case: KMIP's XML encoding needs names and attributes, and no text. */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly XmlElement[]
}

const token =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<\/\s*([\w.:-]+)\s*>|<([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>/g
const attribute = /([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Reads the elements of an XML document, as far as the test cases make use of XML. Throws when they do not nest. */
export function parseXml(document: string): XmlElement {
  const root = { name: '', attributes: {}, children: [] as XmlElement[] }
  const open: { name: string; attributes: Record<string, string>; children: XmlElement[] }[] = [root]
  for (const [, end, start, attributes = '', empty] of document.matchAll(token)) {
    const parent = open.at(-1)
    if (parent === undefined) throw new Error('more ends than beginnings')
    if (end !== undefined) {
      if (open.pop()?.name !== end) throw new Error(`</${end}> ends something else`)
    } else if (start !== undefined) {
      const element = { name: start, attributes: parseAttributes(attributes), children: [] }
      parent.children.push(element)
      if (empty === '') open.push(element)
    }
  }
  const [element, ...more] = root.children
  if (open.length !== 1 || element === undefined || more.length > 0) throw new Error('not one whole element')
  return element
}

function parseAttributes(text: string): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [, name, double, single] of text.matchAll(attribute)) {
    if (name !== undefined) values[name] = unescapeXml(double ?? single ?? '')
  }
  return values
}

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    return entities[name] ?? whole
  })
}
