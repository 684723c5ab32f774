import { styleText } from 'node:util'
import { printable } from './printable.ts'
import type { Surroundings } from './surroundings.ts'
import type { Painted } from './table.ts'

type Colour = 'green' | 'yellow' | 'red'

/** Colours a cell, or leaves it as it is where colours are not wanted. */
export type Paint = (colour: Colour, text: string) => Painted

/** Colours on a terminal only, and never with NO_COLOR (https://no-color.org: any value but the empty one). */
export function paintFor({ stdout, environment }: Surroundings): Paint {
  const coloured = stdout.isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
  return (colour, text) => {
    const plain = printable(text)
    return { painted: coloured ? styleText(colour, plain, { validateStream: false }) : plain }
  }
}
