import { readFileSync } from 'node:fs'
import { versions } from '@cryptvisor/kmip'
import { decodeNode, encodeNode, type Node, nodeOf, parseXml } from '@cryptvisor/kmip/testing'
import { Secret } from '@cryptvisor/secret'
import { type Client, MessageProcessor } from '../../index.ts'
import { MemoryObjectStore } from '../memory-object-store.ts'
import { Comparison } from './comparison.ts'

/** A published case: requests and the answers that they want. */
export interface Case {
  readonly exchanges: readonly { readonly request: Node; readonly response: Node }[]
  readonly operations: ReadonlySet<string>
}

/** Reads a case; `null` for one in which the server asks (Notify, Put) or does not answer. */
export function readCase(path: string): Case | null {
  const messages = parseXml(readFileSync(path, 'utf8')).children.map((element) => nodeOf(element))
  const exchanges: { request: Node; response: Node }[] = []
  for (let index = 0; index < messages.length; index += 2) {
    const [request, response] = messages.slice(index, index + 2)
    if (request?.name !== 'RequestMessage' || response?.name !== 'ResponseMessage') {
      return null
    }
    exchanges.push({ request, response })
  }
  const items = exchanges.flatMap(({ request }) => request.children.filter((child) => child.name === 'BatchItem'))
  return { exchanges, operations: new Set(items.map((item) => nameOf(item))) }
}

/** A server of its own for each case; its clock stands still while the case runs. */
export class CaseRunner {
  readonly #now: Date
  readonly #variables = new Map<string, string>()
  readonly #processor: MessageProcessor
  readonly #client: Client = { name: 'oasis', certificateFingerprint: '00', address: 'test' }
  readonly #last = new Map<string, string>()
  #lastId = 0

  constructor(now: Date) {
    this.#now = now
    this.#processor = new MessageProcessor(
      new MemoryObjectStore(),
      {
        vendorIdentification: 'Cryptvisor',
        versions,
        now: () => now,
        random: (sizeBytes) => Secret.random(sizeBytes),
        newId: () => `object-${String(++this.#lastId).padStart(4, '0')}`,
      },
      (event) => {
        if (event.kind === 'internal-error') throw event.error
      },
    )
  }

  /** The differences between what the case wants and what we answer; none when it passes. */
  async run({ exchanges }: Case): Promise<string[]> {
    const given = new Set<string>()
    for (const [index, { request, response }] of exchanges.entries()) {
      collectBytes(request, given)
      const { bytes } = await this.#processor.answer(
        encodeNode(request, (variable, node) => this.#resolve(variable, node)),
        this.#client,
      )
      const answer = decodeNode(Buffer.from(bytes))
      const differences = new Comparison(this.#variables, given).differences(response, answer)
      collectLast(answer, this.#last)
      if (differences.length > 0) return differences.map((difference) => `exchange ${index}: ${difference}`)
    }
    return []
  }

  #resolve(variable: string, node: Node): string {
    const time = /^\$NOW([+-]\d+)?$/.exec(variable)
    if (time !== null) return String(Math.floor(this.#now.getTime() / 1000) + Number(time[1] ?? 0))
    // Some cases use a name that no answer had; then they mean the last one of its kind.
    const value = this.#variables.get(variable) ?? this.#last.get(node.name)
    if (value === undefined) throw new RangeError(`${variable} stands for nothing yet`)
    return value
  }
}

function collectBytes(node: Node, given: Set<string>): void {
  if (node.type === 'ByteString') given.add(node.value)
  for (const child of node.children) collectBytes(child, given)
}

function collectLast(node: Node, last: Map<string, string>): void {
  if (node.type !== 'Structure') last.set(node.name, node.value)
  for (const child of node.children) collectLast(child, last)
}

function nameOf(item: Node): string {
  return item.children.find((child) => child.name === 'Operation')?.value ?? ''
}
