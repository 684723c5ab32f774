import { setFlagsFromString } from 'node:v8'

/** Of each half of V8's young generation, in MiB. */
const semiSpaceMib = 2

/**
 * Keeps V8's young generation small. Bulk data lives in buffers outside the heap, and V8 frees those only when it collects
 * the small objects that hold them: with a young generation of the default size, 100 MiB of buffers that nobody uses pile
 * up first while a disk is received (measured: 262 MiB resident against 176 MiB).
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--max-semi-space-size=${semiSpaceMib}`)
  setFlagsFromString('--semi-space-growth-factor=1')
}
