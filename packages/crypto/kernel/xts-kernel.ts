/**
 * The arithmetic of batch XTS (IEEE 1619) outside AES, in AssemblyScript: TypeScript's syntax, compiled to WebAssembly with
 * SIMD by `node tools/kernel.ts`, and not TypeScript otherwise. Parameters are addresses in the memory that is passed in, and
 * sizes; `src/xts-kernel.ts` says what they have to be, nothing here checks it.
 */

/** What a bit that leaves the high half does to the low one, and the other way round (IEEE 1619, 5.2). */
const carriesAddress = memory.data<u64>([0x87, 1])

/** Units that are masked in lock step: a doubling has to wait for the one before it, but not for those of other units. */
const laneCount: u32 = 8

/** Writes `count` blocks: `first`, `first + increment` ... as 64 bits little-endian, then zeros. */
export function numbers(target: usize, first: f64, count: u32, increment: u32): void {
  let number = <u64>first
  for (const end = target + (<usize>count << 4); target < end; target += 16) {
    store<u64>(target, number)
    store<u64>(target, 0, 8)
    number += increment
  }
}

/** XORs `sizeBytes` from `source` into `target`. */
export function xor(target: usize, source: usize, sizeBytes: u32): void {
  for (const end = target + sizeBytes; target < end; target += 16, source += 16) {
    v128.store(target, v128.xor(v128.load(target), v128.load(source)))
  }
}

/** XORs into the blocks of each unit its block of `tweaks`, times alpha^0, alpha^1 ... (IEEE 1619, 5.3). */
export function mask(target: usize, tweaks: usize, unitCount: u32, unitSizeBytes: u32): void {
  // Read, not written as a constant: the compiler would make that anew in every round.
  const carries = v128.load(carriesAddress)
  for (; unitCount >= laneCount; unitCount -= laneCount) {
    let t0 = v128.load(tweaks)
    let t1 = v128.load(tweaks, 16)
    let t2 = v128.load(tweaks, 32)
    let t3 = v128.load(tweaks, 48)
    let t4 = v128.load(tweaks, 64)
    let t5 = v128.load(tweaks, 80)
    let t6 = v128.load(tweaks, 96)
    let t7 = v128.load(tweaks, 112)
    for (const end = target + unitSizeBytes; target < end; target += 16) {
      t0 = maskBlock(target, t0, carries)
      t1 = maskBlock(target + 1 * unitSizeBytes, t1, carries)
      t2 = maskBlock(target + 2 * unitSizeBytes, t2, carries)
      t3 = maskBlock(target + 3 * unitSizeBytes, t3, carries)
      t4 = maskBlock(target + 4 * unitSizeBytes, t4, carries)
      t5 = maskBlock(target + 5 * unitSizeBytes, t5, carries)
      t6 = maskBlock(target + 6 * unitSizeBytes, t6, carries)
      t7 = maskBlock(target + 7 * unitSizeBytes, t7, carries)
    }
    tweaks += laneCount << 4
    target += (laneCount - 1) * unitSizeBytes
  }
  for (; unitCount > 0; unitCount--, tweaks += 16) {
    let tweak = v128.load(tweaks)
    for (const end = target + unitSizeBytes; target < end; target += 16) tweak = maskBlock(target, tweak, carries)
  }
}

/** Masks the block at `target`, and returns the tweak of its unit's next block: the product with alpha in GF(2^128). */
// @ts-ignore: decorators of functions are AssemblyScript's.
@inline
function maskBlock(target: usize, tweak: v128, carries: v128): v128 {
  v128.store(target, v128.xor(v128.load(target), tweak))
  // All ones in a half where the highest bit of the other half leaves that one.
  const left = i32x4.shr_s(v128.shuffle<i32>(tweak, tweak, 3, 3, 1, 1), 31)
  return v128.xor(i64x2.add(tweak, tweak), v128.and(left, carries))
}
