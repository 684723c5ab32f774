import { Operation } from '@cryptvisor/kmip'
import type { Node } from '@cryptvisor/kmip/testing'

/** Differs in every run: when something happened, what we say in words, what random bytes came out. */
const free: ReadonlySet<string> = new Set([
  'TimeStamp',
  'ResultMessage',
  'VendorIdentification',
  'ServerInformation',
  'DigestValue',
  'ServerCorrelationValue',
])

/** Answers in which a server may say more than the case does. */
const extensible: ReadonlySet<string> = new Set(
  [Operation.Query, Operation.DiscoverVersions, Operation.GetAttributes, Operation.GetAttributeList].map(String),
)

/** Compares the answers of a case with ours, and keeps what its variables stand for. */
export class Comparison {
  readonly #variables: Map<string, string>
  /** Byte strings of the requests: what the client gave must come back as it was. */
  readonly #given: ReadonlySet<string>

  constructor(variables: Map<string, string>, given: ReadonlySet<string>) {
    this.#variables = variables
    this.#given = given
  }

  /** The differences, each with its place; none when the answer is what the case wants. */
  differences(expected: Node, actual: Node): string[] {
    return this.#compare(expected, actual, actual.name, '')
  }

  #compare(expected: Node, actual: Node, path: string, operation: string): string[] {
    if (expected.name !== actual.name || expected.type !== actual.type) {
      return [`${path}: ${actual.name} ${actual.type} instead of ${expected.name} ${expected.type}`]
    }
    if (expected.type !== 'Structure')
      return this.#isSame(expected, actual) ? [] : [`${path}: ${actual.value} instead of ${expected.value}`]
    const own = expected.name === 'BatchItem' ? childValue(expected, 'Operation') : operation
    const isList = expected.name === 'ResponsePayload' && extensible.has(own)
    return isList || expected.name === 'ResponsePayload'
      ? this.#compareSets(expected, actual, path, own, isList)
      : this.#compareInOrder(expected, actual, path, own)
  }

  #compareInOrder(expected: Node, actual: Node, path: string, operation: string): string[] {
    const wanted = expected.children.filter(isCompared)
    const found = actual.children.filter(isCompared)
    const differences = wanted.flatMap((child, index) => {
      const other = found[index]
      const at = `${path}.${child.name}`
      return other === undefined ? [`${at}: is missing`] : this.#compare(child, other, at, operation)
    })
    return [...differences, ...found.slice(wanted.length).map((child) => `${path}.${child.name}: is too much`)]
  }

  /** Items of a payload may come in any order; in some answers there may be more of them. */
  #compareSets(expected: Node, actual: Node, path: string, operation: string, mayBeMore: boolean): string[] {
    const left = actual.children.filter(isCompared)
    const differences: string[] = []
    for (const child of expected.children.filter(isCompared)) {
      const index = left.findIndex((other) => this.#probe(child, other, operation))
      const closest = left.find(
        (other) =>
          other.name === child.name && childValue(other, 'AttributeName') === childValue(child, 'AttributeName'),
      )
      const at = `${path}.${child.name}`
      if (index >= 0) this.#compare(child, left.splice(index, 1)[0] as Node, at, operation)
      else if (closest === undefined)
        differences.push(`${at} ${childValue(child, 'AttributeName')}${child.value}: is missing`)
      else differences.push(...this.#compare(child, closest, at, operation))
    }
    return mayBeMore ? differences : [...differences, ...left.map((child) => `${path}.${child.name}: is too much`)]
  }

  /** Whether they are the same, without binding variables. */
  #probe(expected: Node, actual: Node, operation: string): boolean {
    return new Comparison(new Map(this.#variables), this.#given).#compare(expected, actual, '', operation).length === 0
  }

  #isSame(expected: Node, actual: Node): boolean {
    if (free.has(expected.name) || expected.type === 'DateTime') return true
    if (expected.value.startsWith('$')) {
      const bound = this.#variables.get(expected.value)
      this.#variables.set(expected.value, bound ?? actual.value)
      return bound === undefined || bound === actual.value
    }
    if (expected.name === 'KeyMaterial' && !this.#given.has(expected.value)) {
      return actual.value.length === expected.value.length
    }
    return expected.value === actual.value
  }
}

function isCompared(node: Node): boolean {
  if (node.name === 'AttributeIndex') return node.value !== '0'
  if (free.has(node.name)) return false
  return !(node.name === 'Attribute' && childValue(node, 'AttributeName').startsWith('y-'))
}

function childValue(node: Node, name: string): string {
  return node.children.find((child) => child.name === name)?.value ?? ''
}
