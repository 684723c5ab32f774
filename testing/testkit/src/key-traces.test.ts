import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from './folder.ts'
import { filesWithText, filesWithTrace, holdsTrace, processTraces } from './key-traces.ts'

test('a planted key is found in every form and alignment', () => {
  const key = randomBytes(32)
  for (const lead of [0, 1, 2, 3, 4, 5]) {
    const around = Buffer.concat([randomBytes(lead), key, randomBytes(7)])
    assert.ok(holdsTrace(around, key))
    assert.ok(holdsTrace(Buffer.from(around.toString('base64')), key), `base64 after ${lead} bytes`)
    assert.ok(holdsTrace(Buffer.from(around.toString('base64url')), key), `base64url after ${lead} bytes`)
    assert.ok(holdsTrace(Buffer.from(around.toString('hex')), key))
    assert.ok(holdsTrace(Buffer.from(around.toString('hex').toUpperCase()), key))
  }
  assert.ok(!holdsTrace(randomBytes(65_536), key))
})

test('files are searched, hidden ones too', async (context) => {
  const folder = temporaryFolder(context)
  const key = randomBytes(32)
  writeFileSync(join(folder, 'clean'), randomBytes(100))
  assert.deepEqual(await filesWithTrace(folder, key), [])
  const dirty = [join(folder, 'dirty'), join(folder, '.hidden'), join(folder, '.folder', 'below')]
  mkdirSync(join(folder, '.folder'))
  for (const path of dirty) writeFileSync(path, `x${key.toString('base64')} some text`)
  assert.deepEqual((await filesWithTrace(folder, key)).toSorted(), dirty.toSorted())
  assert.deepEqual((await filesWithText(folder, 'some text')).toSorted(), dirty.toSorted())
  assert.deepEqual(await filesWithText(folder, 'another text'), [])
})

test('a command line and an environment are searched', async () => {
  const [argument, variable, other] = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const child = spawn('sleep', ['60'], { argv0: argument.toString('hex'), env: { KEY: variable.toString('base64') } })
  try {
    await once(child, 'spawn')
    // A spawned child has a pid.
    const pid = child.pid as number
    assert.deepEqual(processTraces(pid, argument), [`/proc/${pid}/cmdline`])
    assert.deepEqual(processTraces(pid, variable), [`/proc/${pid}/environ`])
    assert.deepEqual(processTraces(pid, other), [])
  } finally {
    child.kill()
    await once(child, 'exit')
  }
})
