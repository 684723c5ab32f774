import { ControlPlaneError } from './control-plane-error.ts'

/** How many wait in one lane at most. */
export const turnsWaitingMax = 32

/**
 * Lets work for the same name happen one after another, and no more than `laneCount` at once altogether, so that many
 * guesses at once are no better than one after another and cannot take up the thread pool.
 */
export class Turns {
  readonly #lanes: { last: Promise<unknown>; waitingCount: number }[]

  constructor(laneCount: number) {
    this.#lanes = Array.from({ length: laneCount }, () => ({ last: Promise.resolve(), waitingCount: 0 }))
  }

  /** Does `work` when it is `name`'s turn. Throws `too-busy` when too many wait already. */
  async take<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const lane = this.#lanes[laneOf(name, this.#lanes.length)]
    if (lane === undefined || lane.waitingCount >= turnsWaitingMax) {
      throw new ControlPlaneError('too-busy', 'too many logins at once: wait a moment and try again')
    }
    lane.waitingCount++
    const turn = lane.last.then(work)
    lane.last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      lane.waitingCount--
    }
  }
}

function laneOf(name: string, laneCount: number): number {
  let sum = 0
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521
  return sum % laneCount
}
