import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Task, TaskStarted } from '@cryptvisor/control-plane-api'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest } from './lab-under-test.ts'

const mib = 1_048_576
const sizeBytes = (process.env['CRYPTVISOR_TEST_LONG'] === '1' ? 4096 : 1024) * mib
const residentMax = 300 * mib

/** Resident memory of a process, its peak included, in bytes (proc(5), VmHWM). */
function peakOf(pid: number): number {
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  assert.ok(found?.[1])
  return Number(found[1]) * 1024
}

test('importing, encrypting and decrypting a large disk takes constant memory in the agent', async (context) => {
  const lab = await LabUnderTest.start(context)
  const image = lab.path('disk.img')
  makeRawImage(image, sizeBytes, knownText())
  await lab.json('vm', 'import', 'web', '--disk', image, '--host', 'host-a')
  const pid = lab.description.pids.hosts['host-a'] ?? 0
  for (const verb of ['encrypt', 'decrypt'] as const) {
    const started = await lab.json<TaskStarted | Task>('vm', verb, 'web', '--no-wait')
    const { state, error } = await lab.taskEnd('task' in started ? started.task.id : started.id)
    assert.equal(state, 'success', error?.message)
    const peak = peakOf(pid)
    context.diagnostic(`${verb}: at most ${Math.round(peak / mib)} MiB in the agent for ${sizeBytes / mib} MiB`)
    assert.ok(peak < residentMax, `${verb} took ${Math.round(peak / mib)} MiB`)
  }
})
