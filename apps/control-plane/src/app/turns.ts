import { ControlPlaneError } from './control-plane-error.ts'

/** How many wait in one lane at most, and how many of one client in all lanes. */
export const turnsWaitingMax = 32
export const turnsPerClientMax = 8

/**
 * Lets work for the same name happen one after another, and no more than `laneCount` at once altogether, so that many
 * guesses at once are no better than one after another and cannot take up the thread pool. One client alone cannot fill
 * the lanes.
 */
export class Turns {
  readonly #countByClient = new Map<string, number>()
  readonly #lanes: { last: Promise<unknown>; waitingCount: number }[]

  constructor(laneCount: number) {
    this.#lanes = Array.from({ length: laneCount }, () => ({ last: Promise.resolve(), waitingCount: 0 }))
  }

  /** Does `work` when it is `name`'s turn. Throws `too-busy` when too many wait already, or too many of `client`. */
  async take<Result>(name: string, client: string, work: () => Promise<Result>): Promise<Result> {
    const lane = this.#lanes[laneOf(name, this.#lanes.length)]
    const count = this.#countByClient.get(client) ?? 0
    if (lane === undefined || lane.waitingCount >= turnsWaitingMax || count >= turnsPerClientMax) {
      throw new ControlPlaneError('too-busy', 'too many logins at once: wait a moment and try again')
    }
    lane.waitingCount++
    this.#countByClient.set(client, count + 1)
    const turn = lane.last.then(work)
    lane.last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      lane.waitingCount--
      const left = (this.#countByClient.get(client) ?? 1) - 1
      if (left === 0) this.#countByClient.delete(client)
      else this.#countByClient.set(client, left)
    }
  }
}

function laneOf(name: string, laneCount: number): number {
  let sum = 0
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521
  return sum % laneCount
}
