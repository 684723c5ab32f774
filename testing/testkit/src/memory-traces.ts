import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { formsOf } from './key-traces.ts'

const pageBytes = 4096
const pieceBytes = 4 * 1_048_576

/** What pagemap says of each page (Linux, admin-guide/mm/pagemap): the uppermost bits of 8 bytes. */
const pageEntryBytes = 8
const presentOrSwapped = 0xc0

/** Why a test that looks into another process’s memory is skipped; `false` for root, who may. */
export const memoryScanSkip: string | false = process.getuid?.() === 0 ? false : 'only root may read other memory'

/**
 * How often `key`, in any form, lies in the memory that the process `pid` can write to. Not for this process itself: the forms that are
 * looked for would be found.
 */
export function memoryTraces(pid: number, key: Uint8Array): number {
  const forms = [...new Map(formsOf(key).map((form) => [form.toString('latin1'), form])).values()]
  const overlapBytes = Math.max(...forms.map((form) => form.length)) - 1
  const piece = Buffer.allocUnsafeSlow(pieceBytes + overlapBytes)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    let count = 0
    for (const { start, end } of writtenRanges(pid)) {
      for (let at = start; at < end; at += pieceBytes) {
        const found = piece.subarray(0, readAt(memory, piece.subarray(0, Math.min(piece.length, end - at)), at))
        for (const form of forms) count += countIn(found, form)
      }
    }
    return count
  } finally {
    closeSync(memory)
  }
}

/** Those that begin in the first `pieceBytes`; the next piece has the others. */
function countIn(bytes: Buffer, form: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(form); at !== -1 && at < pieceBytes; at = bytes.indexOf(form, at + 1)) count++
  return count
}

/** How much could be read; what went away meanwhile, or belongs to a device, cannot. */
function readAt(file: number, target: Buffer, position: number): number {
  try {
    return readSync(file, target, 0, target.length, position)
  } catch {
    return 0
  }
}

interface Range {
  readonly start: number
  readonly end: number
}

/** The ranges that may be written to, of these the pages that were: much is set aside and never touched. */
function* writtenRanges(pid: number): Generator<Range> {
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1')
  const pages = openSync(`/proc/${pid}/pagemap`, 'r')
  try {
    for (const [, start = '', end = ''] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
      yield* writtenPages(pages, { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) })
    }
  } finally {
    closeSync(pages)
  }
}

function* writtenPages(pages: number, { start, end }: Range): Generator<Range> {
  const entries = Buffer.alloc(((end - start) / pageBytes) * pageEntryBytes)
  readAt(pages, entries, (start / pageBytes) * pageEntryBytes)
  let from: number | null = null
  for (let at = start; at <= end; at += pageBytes) {
    const flags = entries[((at - start) / pageBytes) * pageEntryBytes + pageEntryBytes - 1] ?? 0
    const isWritten = at < end && (flags & presentOrSwapped) !== 0
    if (isWritten) from ??= at
    else if (from !== null) {
      yield { start: from, end: at }
      from = null
    }
  }
}
