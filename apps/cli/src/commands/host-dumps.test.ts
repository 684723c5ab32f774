import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { openDesk } from '../testing/desk.ts'

test('a core dump is written into a new file for its owner alone, and over no other', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = randomBytes(300_000)
  const path = join(temporaryFolder(context), 'agent.core')
  const command = ['host', 'decrypt-core', 'host-b', 'dump-1.core', '--out', path]
  const { exitCode, stderr } = await desk.run(command)
  assert.equal(exitCode, 0, stderr)
  assert.ok(fake.calls.some(({ call }) => call === 'POST /api/v1/hosts/host-b/dumps/dump-1.core/open'))
  assert.ok(readFileSync(path).equals(fake.exported))
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.notEqual((await desk.run(command)).exitCode, 0)
})
