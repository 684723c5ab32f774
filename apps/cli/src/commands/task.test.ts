import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

test('task show, watch and cancel', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const verb of ['show', 'watch', 'cancel']) {
    const { id } = fake.startTask('vm.encrypt', 'db1')
    const { exitCode, stdout, stderr } = await desk.run(['task', verb, id])
    assert.equal(exitCode, 0, stderr)
    assert.match(stdout, new RegExp(`^ID: +${id}$`, 'm'))
    if (verb === 'show') assert.match(stdout, /^progress: +25%, 1 MiB of 4 MiB, 1 MiB\/s, 3 s left$/m)
    const { call } = fake.calls.findLast(() => true) ?? {}
    assert.equal(call, `${verb === 'cancel' ? 'POST' : 'GET'} /api/v1/tasks/${id}${verb === 'cancel' ? '/cancel' : ''}`)
  }
})

test('task pause, resume and limit', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const [args, call, body, stdout] of [
    [['pause'], 'POST /pause', undefined, /^state: +running, paused$/m],
    [['resume'], 'POST /resume', undefined, /^state: +running$/m],
    [['limit', '50MiB/s'], 'PUT /speed', { bytesPerSecondMax: 52_428_800 }, /^state: +running$/m],
    [['limit', 'none'], 'PUT /speed', { bytesPerSecondMax: null }, /^state: +running$/m],
  ] as const) {
    const [verb, ...rest] = args
    const { id } = fake.startTask('vm.encrypt', 'db1')
    const result = await desk.run(['task', verb, id, ...rest])
    assert.equal(result.exitCode, 0, result.stderr)
    assert.match(result.stdout, stdout)
    const [method, path] = call.split(' ')
    assert.deepEqual(fake.calls.at(-1), { call: `${method} /api/v1/tasks/${id}${path}`, body })
  }
  for (const wrong of ['1KiB/s', 'fast', '10MB/s', '']) {
    assert.equal((await desk.run(['task', 'limit', 'task-1', wrong])).exitCode, 2)
  }
})
