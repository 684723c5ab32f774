import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { openDesk } from './desk.ts'

/** A command line, and the calls that it makes: method and path below `/api/v1`, and the body where it has one. */
export type CommandCalls = readonly [line: string, ...calls: readonly (readonly [call: string, body?: unknown])[]]

/**
 * Runs each command line at a desk of its own, as text and as JSON: it succeeds, says something, lets no control character of a name
 * through, and makes these calls and no others, besides asking how its task is.
 */
export async function checkCalls(context: TestContext, commands: readonly CommandCalls[]): Promise<void> {
  const { desk, fake } = await openDesk(context)
  for (const [line, ...calls] of commands) {
    await context.test(`cryptvisor ${line}`, async () => {
      fake.calls.length = 0
      const { exitCode, stderr, stdout } = await desk.run(line.split(' '))
      assert.equal(exitCode, 0, stderr)
      assert.notEqual(stdout, '')
      assert.ok(!stdout.includes('\u001b'), 'no control character of a name gets through')
      assert.deepEqual(
        fake.calls
          .filter(({ call }) => !call.startsWith('GET /api/v1/tasks/'))
          .map(({ call, body }) => [call.replace('/api/v1', ''), ...(body == null ? [] : [body])]),
        calls.map(([call, body]) => [call, ...(body === undefined ? [] : [body])]),
      )
      const json = await desk.run([...line.split(' '), '--json'])
      assert.equal(json.exitCode, 0)
      assert.doesNotThrow(() => JSON.parse(json.stdout))
    })
  }
}
