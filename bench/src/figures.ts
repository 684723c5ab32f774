import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Named figures of one bench; a ratio has a name that ends with what it is a ratio of. */
export type Figures = Readonly<Record<string, number>>

/** Writes `bench/results/NAME.json`. */
export function writeFigures(name: string, figures: Figures): void {
  writeFileSync(`${resultsFolder()}${name}.json`, `${JSON.stringify({ figures }, null, 2)}\n`)
}

/** `bench/results/`, which is not part of the sources; made where it is missing. */
export function resultsFolder(): string {
  const folder = fileURLToPath(new URL('../results/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  return folder
}

/** The middle one of some figures; throws when there is none. */
export function median(figures: readonly number[]): number {
  const middle = figures.toSorted((one, other) => one - other)[Math.floor(figures.length / 2)]
  if (middle === undefined) throw new RangeError('a median needs a figure')
  return middle
}

/** Three significant digits. */
export const rounded = (figure: number) => Number(figure.toPrecision(3))
