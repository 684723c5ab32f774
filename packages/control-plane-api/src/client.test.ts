import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { type Call, RestClient } from '@cryptvisor/rest'
import { ControlPlaneClient } from './client.ts'

/** Keeps what it is asked to call. */
class Recorder extends RestClient {
  readonly calls: Call[] = []

  constructor() {
    super({ url: 'https://control-plane.invalid', ca: '' })
  }

  override async call<Answer>(call: Call): Promise<Answer> {
    this.calls.push(call)
    // Nobody looks at it.
    return null as Answer
  }
}

test('however large an image is, nobody gives up waiting until it is on disk', async () => {
  await using rest = new Recorder()
  await new ControlPlaneClient(rest).sendContent('task', Readable.from([]), 2 ** 50)
  assert.partialDeepStrictEqual(rest.calls, [{ path: '/api/v1/tasks/task/content', timeoutMs: 0 }])
})
