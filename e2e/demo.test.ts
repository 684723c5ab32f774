import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from './lab-under-test.ts'

test('the demo runs to its end and shows what it promises', async () => {
  const { exitCode, stdout, stderr } = await run(fileURLToPath(new URL('../run', import.meta.url)), ['demo'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /0 of \d+ files in the datastore hold the text now/)
  assert.match(stdout, /the recovered disk is the imported one, bit for bit/)
  assert.match(stdout, /unlocked again, by itself/)
  assert.match(stdout, /the same, bit for bit/)
  assert.match(stdout, /^Done\./m)
})
