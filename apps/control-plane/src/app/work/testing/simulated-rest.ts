import { type Call, RestClient, RestClientError, type StreamedAnswer } from '@cryptvisor/rest'
import { isRehearsed } from '../../rehearsal.ts'
import type { Faults } from './faults.ts'

/** Who answers the calls. */
interface Answering {
  readonly name: string
  readonly running: boolean
  answer(call: Call): Promise<unknown>
  stream(call: Call): StreamedAnswer
}

/** The real client's transport, cut off from the network. */
export class SimulatedRest extends RestClient {
  readonly #agent: Answering
  readonly #faults: Faults

  constructor(agent: Answering, faults: Faults) {
    super({ url: 'https://agent.invalid', ca: '' })
    this.#agent = agent
    this.#faults = faults
  }

  override async call<Answer>(call: Call): Promise<Answer> {
    const name = call.path.replaceAll(/\/[0-9a-f]{8}-[^/]*/g, '/ID').replaceAll(/\/key-\d+/g, '/KEY')
    return this.#faults.pass(`${this.#agent.name} ${call.method} ${name}`, async () => {
      if (isRehearsed()) throw new Error(`${name}: a dry run holds the database, and waits for no host`)
      this.#throwIfGone()
      const json = call.json === undefined ? {} : { json: JSON.parse(JSON.stringify(call.json)) as unknown }
      const answer = await this.#agent.answer({ ...call, ...json })
      // What the agent answers has the shape that the client's method says.
      return structuredClone(answer) as Answer
    })
  }

  override stream(call: Call): Promise<StreamedAnswer> {
    return this.#faults.pass(`${this.#agent.name} ${call.method} stream`, () => {
      this.#throwIfGone()
      return this.#agent.stream(call)
    })
  }

  #throwIfGone(): void {
    if (!this.#agent.running) throw new RestClientError('unreachable', `${this.#agent.name} cannot be reached`)
  }
}
