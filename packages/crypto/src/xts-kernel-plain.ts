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

  xor(target: number, mask: number, sizeBytes: number): void {
    const words = this.#words
    const start = target >>> 2
    const distance = (mask >>> 2) - start
    for (let word = start; word < start + (sizeBytes >>> 2); word++) {
      // Both words lie inside the memory, as the interface demands.
      words[word] = (words[word] as number) ^ (words[word + distance] as number)
    }
  }

  walk512(target: number, tweaks: number, unitCount: number, mask: number): void {
    this.#walk(128, target, tweaks, unitCount, mask)
  }

  walk4096(target: number, tweaks: number, unitCount: number, mask: number): void {
    this.#walk(1024, target, tweaks, unitCount, mask)
  }

  #walk(unitWordCount: number, target: number, tweaks: number, unitCount: number, mask: number): void {
    for (let unit = 0; unit < unitCount; unit++) {
      this.#walkUnit(unitWordCount, (tweaks >>> 2) + unit * 4, (mask >>> 2) + unit * unitWordCount)
    }
    this.xor(target, mask, unitCount * unitWordCount * 4)
  }

  #walkUnit(unitWordCount: number, tweak: number, mask: number): void {
    const words = this.#words
    // All words lie inside the memory, as the interface demands.
    let a = words[tweak] as number
    let b = words[tweak + 1] as number
    let c = words[tweak + 2] as number
    let d = words[tweak + 3] as number
    for (let word = mask; word < mask + unitWordCount; word += 4) {
      words[word] = a
      words[word + 1] = b
      words[word + 2] = c
      words[word + 3] = d
      const reduction = (d >> 31) & 0x87
      d = (d << 1) | (c >>> 31)
      c = (c << 1) | (b >>> 31)
      b = (b << 1) | (a >>> 31)
      a = (a << 1) ^ reduction
    }
  }
}
