import type { ObjectKind, ObjectName } from '@cryptvisor/control-plane-api'
import { InvalidArgumentError } from 'commander'

const kinds: ReadonlySet<string> = new Set<ObjectKind>([
  'folder',
  'cluster',
  'host',
  'datastore',
  'vm',
  'key-provider',
  'policy',
])

/** How objects are written, for helps. */
export const objectForms =
  '/ for the root (everything), a folder by its path such as /Sales/Berlin, else KIND:NAME such as vm:db1 (kinds: cluster, host, datastore, vm, key-provider, policy)'

/** An object as people write it: `/`, `/Sales`, or `vm:db1`. */
export function objectName(text: string): ObjectName {
  if (text === '/') return { kind: 'root', name: '/' }
  if (text.startsWith('/')) return { kind: 'folder', name: text }
  const [kind = '', ...rest] = text.split(':')
  const name = rest.join(':')
  if (!kinds.has(kind) || name === '') throw new InvalidArgumentError(`give ${objectForms}`)
  // It is one of them.
  return { kind: kind as ObjectKind, name }
}

/** The same the other way round. */
export function objectText({ kind, name }: ObjectName): string {
  return kind === 'root' || kind === 'folder' ? name : `${kind}:${name}`
}
