/** An element of a case file; text between elements is of no meaning there. */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: XmlElement[]
}

const token =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<\/([\w.:-]+)\s*>|<([\w.:-]+)((?:\s+[\w.:-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>/g
const attribute = /([\w.:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g

/** Reads the small part of XML that the case files use. Throws for elements that do not nest. */
export function parseXml(text: string): XmlElement {
  const root: XmlElement = { name: '', attributes: {}, children: [] }
  const open = [root]
  for (const [whole, closed, opened, attributes = '', slash] of text.matchAll(token)) {
    const parent = open.at(-1)
    if (parent === undefined) throw new SyntaxError(`nothing is open at ${whole}`)
    if (closed !== undefined) {
      if (closed !== parent.name) throw new SyntaxError(`${closed} closes ${parent.name}`)
      open.pop()
    } else if (opened !== undefined) {
      const element: XmlElement = { name: opened, attributes: parseAttributes(attributes), children: [] }
      parent.children.push(element)
      if (slash !== '/') open.push(element)
    }
  }
  const [only] = root.children
  if (only === undefined || open.length !== 1) throw new SyntaxError('expected one whole element')
  return only
}

function parseAttributes(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, name = '', double, single] of text.matchAll(attribute)) found[name] = unescaped(double ?? single ?? '')
  return found
}

function unescaped(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|\w+);/g, (_whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16))
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)))
    return { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }[name] ?? ''
  })
}
