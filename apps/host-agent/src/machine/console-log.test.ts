import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { until } from '../testing/test-machines.ts'
import { ConsoleLog } from './console-log.ts'
import { runFiles } from './machine-description.ts'

test('the last of a console is kept, and never more than is to be', async (context) => {
  const folder = temporaryFolder(context)
  const server = createServer((socket) => {
    for (let line = 0; line < 100; line++) socket.write(`line ${String(line).padStart(4, '0')}\n`)
    socket.end()
  })
  await new Promise<void>((resolve) => server.listen(join(folder, runFiles.console), resolve))
  context.after(() => server.close())
  const path = join(folder, runFiles.consoleLog)
  const failures: unknown[] = []
  {
    using _log = await ConsoleLog.open(folder, (error) => failures.push(error), 400)
    await until(() => existsSync(path) && readFileSync(path, 'utf8').endsWith('line 0099\n'))
  }
  const before = existsSync(`${path}.1`) ? readFileSync(`${path}.1`, 'utf8') : ''
  assert.ok((before + readFileSync(path, 'utf8')).endsWith('line 0098\nline 0099\n'))
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(failures, [])
})

test('where nobody listens, that is said', async (context) => {
  await assert.rejects(
    ConsoleLog.open(temporaryFolder(context), () => {}),
    { code: 'ENOENT' },
  )
})
