import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

test('a coverage report goes into a file as it comes, line ends included, or is a table', async (context) => {
  const { desk } = await openDesk(context)
  const table = await desk.run(['report', 'coverage'])
  assert.match(table.stdout, /^VMs \(0 in part, 1 plain\) +2 +1 +50$/m)
  assert.match(table.stdout, /^web\\u001b\[2J +VM Home +no +Datastore Default +compliant/m)
  const out = join(desk.folder, 'coverage.csv')
  const { exitCode, stderr } = await desk.run(['report', 'coverage', '--format', 'csv', '--out', out])
  assert.equal(exitCode, 0, stderr)
  assert.equal(readFileSync(out, 'utf8'), 'csv\r\nsecond line\r\n')
  assert.equal((await desk.run(['report', 'coverage', '--format', 'csv'])).stdout, 'csv\r\nsecond line\r\n')
  assert.equal((await desk.run(['report', 'coverage', '--out', join(desk.folder, 'x')])).exitCode, 2)
})
