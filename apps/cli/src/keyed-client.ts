import { type Call, type ClientOptions, RestClient } from '@cryptvisor/rest/client'

/**
 * For `--idempotency-key`: each request that changes something carries a key that follows from the command's and from
 * its place in it, so that the same command, run again since its answer got lost, does nothing twice.
 */
export class KeyedClient extends RestClient {
  readonly #key: string
  #count = 0

  constructor(options: ClientOptions, key: string) {
    super(options)
    this.#key = key
  }

  override async call<Answer>(call: Call): Promise<Answer> {
    if (call.method === 'GET' || call.content !== undefined) return super.call(call)
    const key = `${this.#key}.${++this.#count}`
    return super.call({ ...call, headers: { ...call.headers, 'idempotency-key': key } })
  }
}
