import type { Key } from '@cryptvisor/control-plane-api'

/** Such as `kms/0198…`, as key records spell it; `null` where there is no key. */
export function keyName(key: Pick<Key, 'provider' | 'keyId'> | null): string | null {
  return key === null ? null : `${key.provider}/${key.keyId}`
}
