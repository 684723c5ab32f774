import type { KeyReference } from '@cryptvisor/host-agent-api'

/** The KEK that two columns of a row name; `null`: they name none. */
export function keyReference(provider: string | null, keyId: string | null): KeyReference | null {
  return provider === null || keyId === null ? null : { provider, keyId }
}

/** `<provider>/<key ID>`, as in a key record's `kid`; provider names have no slash. */
export function keyText(key: KeyReference): string {
  return `${key.provider}/${key.keyId}`
}

/** `keys` without repetitions. */
export function distinctKeys(keys: Iterable<KeyReference>): KeyReference[] {
  return [...new Map([...keys].map((key) => [keyText(key), key])).values()]
}
