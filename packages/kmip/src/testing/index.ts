export { decodeNode, encodeNode, type Node, nodeOf, standIn } from './node.ts'
export { parseXml, type XmlElement } from './xml.ts'
