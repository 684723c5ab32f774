import Table from 'cli-table3'
import { printable } from './printable.ts'

/** A cell: text, or a colour's text; `null` and `undefined` are shown as `-`. */
export type Cell = string | number | Painted | null | undefined

/** Text with a colour around it, made by a `Paint`. */
export interface Painted {
  readonly painted: string
}

const chars = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
}
const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true }

/** Aligned columns under a head, without borders; ends with a line feed. Without rows it is the head alone. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const drawing = new Table({ chars, style, head: [...head] })
  drawing.push(...rows.map((row) => row.map(textOf)))
  return trimmed(drawing.toString())
}

/** One `name  value` line each, aligned; ends with a line feed. */
export function sheet(entries: readonly (readonly [string, Cell])[]): string {
  const drawing = new Table({ chars, style })
  drawing.push(...entries.map(([name, cell]) => [name === '' ? '' : `${name}:`, textOf(cell)]))
  return trimmed(drawing.toString())
}

function textOf(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-'
  if (typeof cell === 'object') return cell.painted
  return printable(String(cell))
}

function trimmed(text: string): string {
  return `${text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`
}
