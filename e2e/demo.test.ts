import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { environment } from '@cryptvisor/lab'
import { run } from './lab-under-test.ts'

const runScript = fileURLToPath(new URL('../run', import.meta.url))

/** The folder that a demo says it works in. */
const folderIn = (text: string) => /with their data in (\S+)\.$/m.exec(text)?.[1]

/** Neither the demo's folder nor a process that works in it is there. */
function assertNothingLeft(folder: string | undefined): void {
  assert.ok(folder !== undefined && folder !== '')
  assert.ok(!existsSync(folder), `${folder} is left`)
  const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLineOf(pid).includes(folder))
  assert.deepEqual(left, [])
}

/** Empty for a process that has just ended. */
function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

test('the demo runs to its end, shows what it promises and leaves nothing behind', async () => {
  const { exitCode, stdout, stderr } = await run(runScript, ['demo'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /0 of \d+ files in the datastore hold the text now/)
  assert.match(stdout, /the recovered disk is the imported one, bit for bit/)
  assert.match(stdout, /unlocked again, by itself/)
  assert.match(stdout, /the same, bit for bit/)
  assert.match(stdout, /^Done\./m)
  assertNothingLeft(folderIn(stdout))
})

test('a demo that is interrupted leaves nothing behind', async () => {
  const demo = spawn(runScript, ['demo'], { env: environment(), stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(demo, 'close')
  let folder: string | undefined
  for await (const line of createInterface({ input: demo.stdout })) {
    folder ??= folderIn(line)
    // Three services run by then, and a fourth is about to.
    if (line.includes('enrolling host-b')) demo.kill('SIGTERM')
  }
  assert.deepEqual(await closed, [143, null])
  assertNothingLeft(folder)
})
