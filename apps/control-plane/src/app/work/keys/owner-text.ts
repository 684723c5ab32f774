import type { KeyUser } from '@cryptvisor/control-plane-api'

/** Who has a part that needs a key, in words: `VM web`, `host host-a`, `key provider kms`, `datastore fast`. */
export function ownerText(kind: KeyUser['owner']['kind'], name: string): string {
  switch (kind) {
    case 'vm':
      return `VM ${name}`
    case 'key-provider':
      return `key provider ${name}`
    case 'host':
    case 'datastore':
      return `${kind} ${name}`
  }
}
