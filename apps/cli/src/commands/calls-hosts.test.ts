import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

/** Each command line about hosts, their keys and certificates, and the calls that it makes besides asking how its task is. */
const commands: readonly (readonly [line: string, ...calls: readonly (readonly [call: string, body?: unknown])[]])[] = [
  ['keys health', ['GET /key-health']],
  ['keys health --provider kms --bad', ['GET /key-health?provider=kms&bad=true']],
  ['keys verify kms kek-1', ['POST /keys/kms/kek-1/verify']],
  ['keys verify --all', ['POST /key-health/verify', {}], ['GET /key-health']],
  [
    'keys verify --all --provider kms',
    ['POST /key-health/verify', { provider: 'kms' }],
    ['GET /key-health?provider=kms'],
  ],
]

test('each command about hosts makes the calls that it should, and no others', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const [line, ...calls] of commands) {
    await context.test(`cryptvisor ${line}`, async () => {
      fake.calls.length = 0
      const { exitCode, stderr, stdout } = await desk.run(line.split(' '))
      assert.equal(exitCode, 0, stderr)
      assert.notEqual(stdout, '')
      assert.deepEqual(
        fake.calls
          .filter(({ call }) => !call.startsWith('GET /api/v1/tasks/'))
          .map(({ call, body }) => [call.replace('/api/v1', ''), ...(body === undefined ? [] : [body])]),
        calls.map(([call, body]) => [call, ...(body === undefined ? [] : [body])]),
      )
    })
  }
})
