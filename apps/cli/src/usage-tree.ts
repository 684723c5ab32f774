import type { KeyUsageGraph, KeyUsageNode } from '@cryptvisor/control-plane-api'
import { line } from './printable.ts'

interface Branch {
  readonly text: string
  readonly branches: readonly Branch[]
}

const words: Readonly<Record<KeyUsageNode['kind'], string>> = {
  key: 'key ',
  vm: 'VM ',
  host: 'host ',
  datastore: 'datastore ',
  'vm-home': '',
  disk: '',
  'detached-disk': '',
  'unregistered-vm': '',
  'host-key': '',
  task: 'task ',
  'key-provider': 'key provider ',
  'wrapping-key': '',
}

/** Keys at the roots, under each who needs it: owners, and what of them. */
export function keyTree(graph: KeyUsageGraph): string {
  const { nodes, parts } = indexOf(graph)
  const keys = graph.nodes.filter(({ kind }) => kind === 'key')
  if (keys.length === 0) return 'no key is used here\n'
  return ending(
    graph,
    keys.map((key) => {
      const needing = parts.filter(({ needs }) => needs.includes(key.id))
      const owners = Map.groupBy(needing, ({ owner }) => owner)
      const branches = [...owners].map(([owner, of]) => ({
        text: textOf(nodes.get(owner)),
        branches: of.map(({ node }) => ({ text: textOf(node), branches: [] })),
      }))
      return { text: textOf(key), branches: branches.length === 0 ? [leaf('nothing uses it')] : branches }
    }),
  )
}

/** Owners at the roots, under each its parts with the keys that they need; `first` is named before the others. */
export function ownerTree(graph: KeyUsageGraph, first: string): string {
  const { nodes, parts } = indexOf(graph)
  const owners = [...Map.groupBy(parts, ({ owner }) => owner)].toSorted(
    ([one], [other]) => Number(nodes.get(other)?.name === first) - Number(nodes.get(one)?.name === first),
  )
  if (owners.length === 0) return `${first} needs no key\n`
  return ending(
    graph,
    owners.map(([owner, of]) => ({
      text: textOf(nodes.get(owner)),
      branches: of.map(({ node, needs }) => ({
        text: textOf(node),
        branches: needs.map((key) => leaf(textOf(nodes.get(key)))),
      })),
    })),
  )
}

const leaf = (text: string): Branch => ({ text, branches: [] })

/** Each part with its owner and the keys that it needs. */
function indexOf({ nodes, edges }: KeyUsageGraph) {
  const needs = Map.groupBy(
    edges.filter(({ kind }) => kind === 'needs'),
    ({ from }) => from,
  )
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parts = edges.flatMap(({ from, to, kind }) => {
    const node = byId.get(to)
    return kind === 'needs' || node === undefined
      ? []
      : [{ owner: from, node, needs: (needs.get(to) ?? []).map((edge) => edge.to) }]
  })
  return { nodes: byId, parts }
}

function textOf(node: KeyUsageNode | undefined): string {
  if (node === undefined) return '?'
  const state = node.kind === 'key' ? ` (${node.state ?? 'not on record'})` : ''
  const id = node.kind === 'task' ? ` ${node.ref}` : ''
  return `${words[node.kind]}${node.name}${id}${state}`
}

function ending(graph: KeyUsageGraph, roots: readonly Branch[]): string {
  const more = graph.truncated ? 'There is more than one answer holds: ask for one key, VM or host.\n' : ''
  const hidden = graph.hiddenCount === 0 ? '' : line(`and ${graph.hiddenCount} uses of keys that you may not see`)
  return `${roots.map((root) => line(root.text) + below(root.branches, '')).join('')}${hidden}${more}`
}

function below(branches: readonly Branch[], indent: string): string {
  return branches
    .map((branch, index) => {
      const last = index === branches.length - 1
      return (
        line(`${indent}${last ? '└─ ' : '├─ '}${branch.text}`) +
        below(branch.branches, `${indent}${last ? '   ' : '│  '}`)
      )
    })
    .join('')
}
