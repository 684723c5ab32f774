import type { SchemaEntry } from './commands/monitor.ts'
import type { Qmp } from './qmp.ts'

/** Types within types that name no field between them; QEMU has one such level. */
const depthMax = 8

/** What this QEMU can do, by its own description (`query-qmp-schema`): versions and help texts do not tell. */
export class Features {
  readonly #entries: ReadonlyMap<string, SchemaEntry>

  constructor(entries: readonly SchemaEntry[]) {
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]))
  }

  static async of(qmp: Qmp): Promise<Features> {
    return new Features(await qmp.execute('query-qmp-schema'))
  }

  /**
   * Whether there is a command or event called `name`; with `path` also whether it knows that argument, which is the name of a field, of a
   * variant, or at the end a value: `has('blockdev-add', 'luks', 'header')`, `has('blockdev-mirror', 'copy-mode', 'write-blocking')`.
   */
  has(name: string, ...path: readonly string[]): boolean {
    const entry = this.#entries.get(name)
    if (entry === undefined || (entry['meta-type'] !== 'command' && entry['meta-type'] !== 'event')) return false
    return this.#leads(entry['arg-type'], path, 0)
  }

  #leads(typeName: string | undefined, path: readonly string[], depth: number): boolean {
    const [first, ...rest] = path
    if (first === undefined) return true
    const type = typeName === undefined ? undefined : this.#entries.get(typeName)
    if (type === undefined || depth > depthMax) return false
    if (type['meta-type'] === 'enum') {
      const values = type.values ?? (type.members ?? []).map((member) => member.name)
      return rest.length === 0 && values.includes(first)
    }
    if (type['meta-type'] === 'array') return this.#leads(type['element-type'], path, depth + 1)
    if (type['meta-type'] === 'alternate') {
      return (type.members ?? []).some((member) => this.#leads(member.type, path, depth + 1))
    }
    const next =
      type.members?.find((member) => member.name === first)?.type ??
      type.variants?.find((variant) => variant.case === first)?.type
    return next !== undefined && this.#leads(next, rest, 0)
  }
}
