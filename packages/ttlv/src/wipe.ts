import { Secret } from '@cryptvisor/secret'

/** Disposes of every secret in a decoded value. */
export function wipe(value: unknown): void {
  if (value instanceof Secret) value[Symbol.dispose]()
  else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    for (const part of Object.values(value)) wipe(part)
  }
}
