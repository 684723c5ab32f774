import type { HeaderWrite } from '../header-change.ts'

const sectorSizeBytes = 512

/** The bytes of a volume after `writes` came through whole. */
export function written(bytes: Uint8Array, writes: readonly HeaderWrite[]): Uint8Array {
  const after = Uint8Array.from(bytes)
  for (const write of writes) after.set(write.bytes, write.offsetBytes)
  return after
}

/** The bytes after those sectors of one write came through that `chosen` says. */
export function torn(bytes: Uint8Array, write: HeaderWrite, chosen: (sector: number) => boolean): Uint8Array {
  const after = Uint8Array.from(bytes)
  for (let start = 0, sector = 0; start < write.bytes.length; start += sectorSizeBytes, sector++) {
    if (chosen(sector)) after.set(write.bytes.subarray(start, start + sectorSizeBytes), write.offsetBytes + start)
  }
  return after
}

/** Some ways in which a write can be cut: nothing, all, one half, the other, every other sector, the first two each alone. */
export const cuts: readonly ((sector: number) => boolean)[] = [
  () => false,
  () => true,
  (sector) => sector % 2 === 0,
  (sector) => sector % 2 === 1,
  (sector) => sector === 0,
  (sector) => sector === 1,
  (sector) => sector > 1,
]
