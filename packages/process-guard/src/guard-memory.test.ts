import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const guard = fileURLToPath(new URL('./guard-memory.ts', import.meta.url))

test('a guarded process leaves no core dump, and SIGUSR1 opens no debugger', () => {
  const script = `
    import inspector from 'node:inspector'
    import { setTimeout } from 'node:timers/promises'
    const { areCoreDumpsOff, guardMemory } = await import(${JSON.stringify(guard)})
    const before = await areCoreDumpsOff()
    const { coreDumpsOff } = await guardMemory()
    process.kill(process.pid, 'SIGUSR1')
    await setTimeout(200)
    console.log(JSON.stringify({ before, coreDumpsOff, debuggerUrl: inspector.url() ?? null }))
  `
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', 'ulimit -c 1024; exec "$0" --input-type=module --eval "$1"', process.execPath, script],
    { encoding: 'utf8' },
  )
  assert.deepEqual(JSON.parse(stdout), { before: false, coreDumpsOff: true, debuggerUrl: null }, stderr)
})
