import type { SeededRandom } from '../random.ts'

/** A disk writes these whole or not at all. */
export const sectorBytes = 512

/**
 * What of the unsynced survives a cut: of a power cut `nothing`, `everything`, or what a seed says; `killed` when only the
 * process ended, so that nothing is lost and nothing became durable either.
 */
export type Survival = 'nothing' | 'everything' | 'killed' | SeededRandom

/** Says of each unsynced change whether it survived. */
export interface Luck {
  /** Whether a change that comes whole or not at all survived. */
  survives(): boolean
  /** What survived of a write of the bytes from `start` to `end`, in runs that end at its own ends or at sector borders. */
  runs(start: number, end: number): [start: number, end: number][]
  /** How long a file is that was growing from `start` to `end`. */
  grown(start: number, end: number): number
}

/** Nothing or everything. */
export function allOrNothing(all: boolean): Luck {
  return {
    survives: () => all,
    runs: (start, end) => (all ? [[start, end]] : []),
    grown: (start, end) => (all ? end : start),
  }
}

/** Up to so many sectors each has a fate of its own; longer writes break in runs of them. */
const sectorsAlone = 64

const tearsMax = 24

/** What a power cut leaves; by a seed, in some cuts nearly all is lost, in others nearly nothing. */
export function luckOf(survival: Exclude<Survival, 'killed'>): Luck {
  return typeof survival === 'string' ? allOrNothing(survival === 'everything') : seededLuck(survival)
}

function seededLuck(random: SeededRandom): Luck {
  const kept = random.pick([0.1, 0.5, 0.9])
  const survives = () => random.chance(kept)
  return {
    survives,
    runs: (start, end) =>
      random.chance(0.5) ? (survives() ? [[start, end]] : []) : tornRuns(start, end, random, kept),
    grown: (start, end) => {
      if (!survives()) return start
      const first = Math.floor(start / sectorBytes) + 1
      const count = Math.ceil(end / sectorBytes) - first
      return count <= 0 || random.chance(0.5) ? end : (first + random.below(count)) * sectorBytes
    },
  }
}

function tornRuns(start: number, end: number, random: SeededRandom, kept: number): [number, number][] {
  const first = Math.floor(start / sectorBytes)
  const count = Math.ceil(end / sectorBytes) - first
  const tears =
    count <= sectorsAlone
      ? Array.from({ length: count - 1 }, (_, at) => at + 1)
      : Array.from({ length: 1 + random.below(tearsMax) }, () => 1 + random.below(count - 1)).sort((a, b) => a - b)
  const borders = [start, ...tears.map((tear) => (first + tear) * sectorBytes), end]
  const runs: [number, number][] = []
  for (const [at, from] of borders.entries()) {
    const to = borders[at + 1]
    if (to !== undefined && to > from && random.chance(kept)) runs.push([from, to])
  }
  return runs
}
