/**
 * The arithmetic of batch XTS (IEEE 1619) that OpenSSL does not do for us, in AssemblyScript: TypeScript's syntax, compiled
 * to WebAssembly with SIMD by `node tools/kernel.ts`, and not TypeScript otherwise. All parameters are addresses in the
 * memory that the host passes, or counts; the host checks them (`src/xts-kernel.ts`).
 */

/** How far alpha's reduction and the carry between the halves reach: 0x87 into the low half, 1 into the high one. */
const carriesAddress = memory.data<u64>([0x87, 1])

/** Units that are walked in lock step: a doubling has to wait for the one before it, those of eight units need not. */
const laneCount: u32 = 8

/** Writes `count` blocks, each the 64-bit little-endian number `first`, `first + increment` ... and zeros (plain64). */
export function numbers(target: usize, first: f64, count: u32, increment: u32): void {
  let number = <u64>first
  for (const end = target + (<usize>count << 4); target < end; target += 16) {
    store<u64>(target, number)
    store<u64>(target, 0, 8)
    number += increment
  }
}

/** XORs `sizeBytes`, a multiple of 16, from `mask` into `target`. */
export function xor(target: usize, mask: usize, sizeBytes: u32): void {
  const end = target + sizeBytes
  for (; target + 64 <= end; target += 64, mask += 64) {
    v128.store(target, v128.xor(v128.load(target), v128.load(mask)))
    v128.store(target, v128.xor(v128.load(target, 16), v128.load(mask, 16)), 16)
    v128.store(target, v128.xor(v128.load(target, 32), v128.load(mask, 32)), 32)
    v128.store(target, v128.xor(v128.load(target, 48), v128.load(mask, 48)), 48)
  }
  for (; target < end; target += 16, mask += 16) v128.store(target, v128.xor(v128.load(target), v128.load(mask)))
}

/** Walks `unitCount` units of 512 bytes: see `walk`. */
export function walk512(target: usize, tweaks: usize, unitCount: u32, mask: usize): void {
  walk(512, target, tweaks, unitCount, mask)
}

/** Walks `unitCount` units of 4096 bytes: see `walk`. */
export function walk4096(target: usize, tweaks: usize, unitCount: u32, mask: usize): void {
  walk(4096, target, tweaks, unitCount, mask)
}

/**
 * Writes to `mask` what each unit's blocks are masked with, its block of `tweaks` times alpha^0, alpha^1 ... (IEEE 1619,
 * 5.3), and XORs it into `target`. Inlined, so that the unit's size is a constant and lanes lie at fixed offsets.
 */
// @ts-ignore: decorators of functions are AssemblyScript's.
@inline
function walk(unitSizeBytes: i32, target: usize, tweaks: usize, unitCount: u32, mask: usize): void {
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
    for (const end = target + unitSizeBytes; target < end; target += 16, mask += 16) {
      t0 = step(0, unitSizeBytes, target, mask, t0, carries)
      t1 = step(1, unitSizeBytes, target, mask, t1, carries)
      t2 = step(2, unitSizeBytes, target, mask, t2, carries)
      t3 = step(3, unitSizeBytes, target, mask, t3, carries)
      t4 = step(4, unitSizeBytes, target, mask, t4, carries)
      t5 = step(5, unitSizeBytes, target, mask, t5, carries)
      t6 = step(6, unitSizeBytes, target, mask, t6, carries)
      t7 = step(7, unitSizeBytes, target, mask, t7, carries)
    }
    tweaks += laneCount << 4
    target += (laneCount - 1) * unitSizeBytes
    mask += (laneCount - 1) * unitSizeBytes
  }
  for (; unitCount > 0; unitCount--, tweaks += 16) {
    let t = v128.load(tweaks)
    for (const end = target + unitSizeBytes; target < end; target += 16, mask += 16) {
      t = step(0, unitSizeBytes, target, mask, t, carries)
    }
  }
}

/** Masks one block of the unit in `lane`, and returns the tweak of its next block. */
// @ts-ignore: decorators of functions are AssemblyScript's.
@inline
function step(lane: i32, unitSizeBytes: i32, target: usize, mask: usize, tweak: v128, carries: v128): v128 {
  v128.store(mask + lane * unitSizeBytes, tweak)
  v128.store(target + lane * unitSizeBytes, v128.xor(v128.load(target + lane * unitSizeBytes), tweak))
  return double(tweak, carries)
}

/** IEEE 1619, 5.2: the product with alpha in GF(2^128), low byte first. */
// @ts-ignore: decorators of functions are AssemblyScript's.
@inline
function double(tweak: v128, carries: v128): v128 {
  // All ones in a half where the other half's highest bit leaves it.
  const left = i32x4.shr_s(v128.shuffle<i32>(tweak, tweak, 3, 3, 1, 1), 31)
  return v128.xor(i64x2.add(tweak, tweak), v128.and(left, carries))
}
