import { PlainXtsKernel } from './xts-kernel-plain.ts'
import { xtsKernelWasm } from './xts-kernel-wasm.ts'

/** `simd` is WebAssembly with SIMD, `plain` is TypeScript: the same, slower. */
export type XtsKernelName = 'simd' | 'plain'

/**
 * The arithmetic of XTS outside AES, over addresses in one memory. It checks nothing: areas lie inside the memory, begin
 * at whole blocks of 16 bytes and do not overlap.
 */
export interface XtsKernel {
  readonly name: XtsKernelName
  /** Writes `count` blocks: `first`, `first + increment` ... as 64 bits little-endian, then zeros (plain64). */
  numbers(target: number, first: number, count: number, increment: number): void
  /** XORs `sizeBytes` from `source` into `target`; a multiple of 16. */
  xor(target: number, source: number, sizeBytes: number): void
  /**
   * XORs into each of `unitCount` units of `unitSizeBytes`, a multiple of 16, its block of `tweaks` times alpha^0, alpha^1 ...
   * (IEEE 1619, 5.3.2): the same before AES and after.
   */
  mask(target: number, tweaks: number, unitCount: number, unitSizeBytes: number): void
}

/** The kernel for `memory`: with SIMD unless `plain` is asked for or this machine has no SIMD. */
export function loadXtsKernel(memory: WebAssembly.Memory, name: XtsKernelName = 'simd'): XtsKernel {
  const module = name === 'simd' ? compileSimd() : null
  if (module === null) return new PlainXtsKernel(memory.buffer)
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  // The module is made of `kernel/xts-kernel.ts`, which exports these functions; XTS proves itself before it is used.
  return { name, ...(exports as unknown as Omit<XtsKernel, 'name'>) }
}

let simd: WebAssembly.Module | null | undefined

/** Compiled once a thread. Null where WebAssembly has no SIMD, as on a processor without SSE 4.1, or may not compile. */
function compileSimd(): WebAssembly.Module | null {
  if (simd === undefined) {
    try {
      simd = new WebAssembly.Module(Buffer.from(xtsKernelWasm, 'base64'))
    } catch {
      simd = null
    }
  }
  return simd
}
