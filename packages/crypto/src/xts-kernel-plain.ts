import type { XtsKernel } from './xts-kernel.ts'

/** The kernel in TypeScript, for machines without SIMD in WebAssembly. Needs a little-endian machine. */
export class PlainXtsKernel implements XtsKernel {
  readonly name = 'plain'
  readonly #words: Int32Array

  constructor(memory: ArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  numbers(target: number, first: number, count: number, increment: number): void {
    for (let index = 0; index < count; index++) {
      const number = first + index * increment
      const word = (target >>> 2) + index * 4
      this.#words[word] = number % 0x1_0000_0000
      this.#words[word + 1] = Math.floor(number / 0x1_0000_0000)
      this.#words[word + 2] = 0
      this.#words[word + 3] = 0
    }
  }

  xor(target: number, source: number, sizeBytes: number): void {
    const words = this.#words
    const start = target >>> 2
    const distance = (source >>> 2) - start
    for (let word = start; word < start + (sizeBytes >>> 2); word++) {
      // Both words lie inside the memory, as the interface demands.
      words[word] = (words[word] as number) ^ (words[word + distance] as number)
    }
  }

  mask(target: number, tweaks: number, unitCount: number, unitSizeBytes: number): void {
    for (let unit = 0; unit < unitCount; unit++) {
      this.#maskUnit((target + unit * unitSizeBytes) >>> 2, (tweaks >>> 2) + unit * 4, unitSizeBytes >>> 2)
    }
  }

  #maskUnit(target: number, tweak: number, wordCount: number): void {
    const words = this.#words
    // All words lie inside the memory, as the interface demands.
    let a = words[tweak] as number
    let b = words[tweak + 1] as number
    let c = words[tweak + 2] as number
    let d = words[tweak + 3] as number
    for (let word = target; word < target + wordCount; word += 4) {
      words[word] = (words[word] as number) ^ a
      words[word + 1] = (words[word + 1] as number) ^ b
      words[word + 2] = (words[word + 2] as number) ^ c
      words[word + 3] = (words[word + 3] as number) ^ d
      const reduction = (d >> 31) & 0x87
      d = (d << 1) | (c >>> 31)
      c = (c << 1) | (b >>> 31)
      b = (b << 1) | (a >>> 31)
      a = (a << 1) ^ reduction
    }
  }
}
