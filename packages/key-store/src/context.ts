import { KeyStoreError } from './key-store-error.ts'

/**
 * What a sealed value belongs to: its object's id, type, owner and so on. It is authenticated and not stored, so a
 * value opens only for the very object that it was sealed for.
 */
export type Context = Readonly<Record<string, string | number>>

/** The one way to write a context down: fields in the order of their names. Throws `bad-argument`. */
export function encodeContext(context: Context): Uint8Array {
  const fields = Object.entries(context).toSorted(([one], [other]) => (one < other ? -1 : 1))
  for (const [name, value] of fields) {
    const plain = typeof value === 'string' ? value.isWellFormed() : Number.isSafeInteger(value)
    if (!plain || !name.isWellFormed()) {
      throw new KeyStoreError('bad-argument', `context field ${name} must be well-formed text or a safe integer`)
    }
  }
  return new TextEncoder().encode(JSON.stringify(fields))
}
