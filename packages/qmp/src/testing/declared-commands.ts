import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { parseSync } from 'oxc-parser'

/** A command that this package has types for, with the arguments that are named where it is declared. */
export interface DeclaredCommand {
  readonly name: string
  readonly arguments: readonly string[]
}

/** What of oxc-parser's tree is looked at. */
interface Node {
  readonly type: string
  readonly [field: string]: unknown
}

/** The commands of `src/commands`, read from the sources: types are gone when tests run. */
export async function declaredCommands(): Promise<DeclaredCommand[]> {
  const found: DeclaredCommand[] = []
  for await (const path of glob(join(import.meta.dirname, '../commands/*.ts'))) {
    const { program } = parseSync(path, readFileSync(path, 'utf8'))
    const declared = new Map<string, Node>()
    // The parser's nodes have a type and fields.
    for (const statement of program.body as unknown as readonly Node[]) {
      const node = (statement['declaration'] ?? statement) as Node
      if (node.type === 'TSInterfaceDeclaration' || node.type === 'TSTypeAliasDeclaration') {
        declared.set((node['id'] as { readonly name: string }).name, node)
      }
    }
    for (const [name, node] of declared) {
      if (!name.endsWith('Commands')) continue
      for (const method of membersOf(node)) {
        const [parameter] = method['params'] as readonly Node[]
        const type = (parameter?.['typeAnnotation'] as Node | undefined)?.['typeAnnotation'] as Node | undefined
        found.push({ name: keyOf(method), arguments: type === undefined ? [] : [...fieldsOf(type, declared)] })
      }
    }
  }
  return found
}

const membersOf = (node: Node) => (node['body'] as { readonly body: readonly Node[] }).body

function keyOf(member: Node): string {
  const key = member['key'] as { readonly name?: string; readonly value?: string }
  return key.name ?? key.value ?? ''
}

/** The names of the fields of an object type, of what it extends and of what it is put together from. */
function fieldsOf(type: Node, declared: ReadonlyMap<string, Node>): Set<string> {
  switch (type.type) {
    case 'TSTypeLiteral':
      return new Set((type['members'] as readonly Node[]).filter(isProperty).map(keyOf))
    case 'TSUnionType':
    case 'TSIntersectionType':
      return new Set((type['types'] as readonly Node[]).flatMap((part) => [...fieldsOf(part, declared)]))
    case 'TSParenthesizedType':
      return fieldsOf(type['typeAnnotation'] as Node, declared)
    case 'TSTypeReference':
      return fieldsOfNamed((type['typeName'] as { readonly name: string }).name, declared)
    default:
      return new Set()
  }
}

function fieldsOfNamed(name: string, declared: ReadonlyMap<string, Node>): Set<string> {
  const node = declared.get(name)
  if (node === undefined) return new Set()
  if (node.type === 'TSTypeAliasDeclaration') return fieldsOf(node['typeAnnotation'] as Node, declared)
  const parents = (node['extends'] as readonly { readonly expression: { readonly name: string } }[]) ?? []
  return new Set([
    ...membersOf(node).filter(isProperty).map(keyOf),
    ...parents.flatMap(({ expression }) => [...fieldsOfNamed(expression.name, declared)]),
  ])
}

const isProperty = (member: Node) => member.type === 'TSPropertySignature'
