import { setTimeout as sleep } from 'node:timers/promises'
import type { GuestConsole } from './guest-console.ts'
import { stampBytes, stampedBlockBytes, stampStep } from './guest-scripts.ts'

const stopTimeoutMs = 30_000
const pollMs = 50

/** How far a stamper is. */
export interface Stamped {
  /** How many stamps are on the disk, those before this stamper's included: the number that comes next. */
  readonly count: number
  /** The longest time between two, to 10 ms. */
  readonly worstGapMs: number
}

/**
 * Blocks that a guest writes all the time, each saying whose it is, its number and its place, so that at the end every block can be compared
 * with what it must be. The blocks at the beginning of a device, in an order that both sides know.
 */
export class Stamper {
  readonly name: string
  readonly #guest: GuestConsole
  readonly #blockCount: number

  private constructor(guest: GuestConsole, name: string, blockCount: number) {
    this.#guest = guest
    this.name = name
    this.#blockCount = blockCount
  }

  /** Starts to write; `first` is the number of the first stamp, where an earlier stamper of that name ended. Resolves when one is written. */
  static async start(
    guest: GuestConsole,
    what: { readonly name: string; readonly device: string; readonly blockCount: number; readonly first?: number },
  ): Promise<Stamper> {
    const { name, device, blockCount, first = 0 } = what
    if (!/^[a-z0-9-]{1,16}$/.test(name)) throw new RangeError(`${name}: no name for a stamper`)
    if (blockCount % stampStep === 0) throw new RangeError('some blocks would never be written')
    await guest.run(
      `rm -f /tmp/*-${name}; stamper ${name} ${device} ${blockCount} ${first} >/dev/null 2>&1 </dev/null &`,
    )
    const stamper = new Stamper(guest, name, blockCount)
    await stamper.reaches(first + 1)
    return stamper
  }

  /** How far it is. Rejects when a write failed. */
  async progress(): Promise<Stamped> {
    const said = await this.#guest.run(
      `if [ -e /tmp/failed-${this.name} ]; then cat /tmp/failed-${this.name}; false; else cat /tmp/stamps-${this.name} 2>/dev/null || echo 0 0; fi`,
    )
    // It may be just about to say it.
    if (said === '') return await this.progress()
    const [count = Number.NaN, hundredths = Number.NaN] = said.split(' ').map(Number)
    return { count, worstGapMs: hundredths * 10 }
  }

  /** Resolves when it has come to stamp `count`. */
  async reaches(count: number): Promise<Stamped> {
    for (const deadline = Date.now() + stopTimeoutMs; ; await sleep(pollMs)) {
      const found = await this.progress()
      if (found.count >= count) return found
      if (Date.now() > deadline) throw new Error(`${this.name} stands still at ${found.count}`)
    }
  }

  /** Stops it, and resolves with how far it came. */
  async stop(): Promise<Stamped> {
    await this.#guest.run(`touch /tmp/stop-${this.name}; wait`)
    return await this.progress()
  }

  /**
   * What is wrong with `disk`, the beginning of the device, when exactly `count` stamps were written to it; `null` when nothing is. Blocks
   * that no stamp came to are not looked at.
   */
  problemIn(disk: Uint8Array, count: number): string | null {
    return problemOfStamps(disk, { name: this.name, blockCount: this.#blockCount, count })
  }

  /**
   * How many stamps a disk has whose guest was ended at any moment: it must be as it was after one of them. Throws an Error that says what
   * is wrong, where it never was like that.
   */
  countOn(disk: Uint8Array): number {
    const what = { name: this.name, blockCount: this.#blockCount }
    let count = 0
    for (let block = 0; block < this.#blockCount; block++) {
      count = Math.max(count, (numberIn(disk, block, this.name) ?? -1) + 1)
    }
    const problem = problemOfStamps(disk, { ...what, count })
    if (problem !== null) throw new Error(`the disk was never like this: after ${count} stamps, ${problem}`)
    return count
  }
}

/** The block that the stamp `number` goes to. */
const blockOf = (number: number, blockCount: number) => (number * stampStep) % blockCount

function problemOfStamps(
  disk: Uint8Array,
  { name, blockCount, count }: { readonly name: string; readonly blockCount: number; readonly count: number },
): string | null {
  // Of the stamps that went to a block the last one counts, and that is among the last `blockCount`.
  for (let number = Math.max(0, count - blockCount); number < count; number++) {
    const block = blockOf(number, blockCount)
    const found = Buffer.from(disk.buffer, disk.byteOffset + block * stampedBlockBytes, stampedBlockBytes)
    const expected = stampOf(name, number, block)
    if (found.equals(expected)) continue
    const has = numberIn(disk, block, name)
    return `block ${block} must have stamp ${number} and has ${has === null ? 'something else' : `stamp ${has}`}`
  }
  for (let block = 0; block < blockCount; block++) {
    const has = numberIn(disk, block, name)
    if (has !== null && has >= count)
      return `block ${block} must have no stamp later than ${count - 1} and has stamp ${has}`
  }
  return null
}

/** The number of the stamp in a block; `null` when it has none, or not all over. */
function numberIn(disk: Uint8Array, block: number, name: string): number | null {
  const start = block * stampedBlockBytes
  const text = Buffer.from(disk.buffer, disk.byteOffset + start, stampedBlockBytes).toString('latin1')
  const number = Number(text.slice(17, 35))
  if (!Number.isSafeInteger(number)) return null
  return text === stampOf(name, number, block).toString('latin1') ? number : null
}

/** A block as the guest's `stamper` writes it. */
function stampOf(name: string, number: number, block: number): Buffer {
  const digits = (value: number) => String(value).padStart(18, '0')
  const stamp = `${name.padEnd(16)} ${digits(number)} ${digits(block)}`.padEnd(stampBytes - 1)
  return Buffer.from(`${stamp}\n`.repeat(stampedBlockBytes / stampBytes), 'latin1')
}
