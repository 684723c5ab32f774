import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isInstalled, qemuSkip, temporaryFolder } from '@cryptvisor/testkit'
import { AgentError } from '../agent-error.ts'
import { HostAcceleration, probeAcceleration } from './acceleration.ts'
import { bootProbe } from './boot-probe.ts'

test('the probe’s guest comes to its end where guests run', { skip: qemuSkip }, async () => {
  assert.equal(await probeAcceleration('tcg'), null)
})

test('the probe says why, where they do not, or that they do', { skip: qemuSkip }, async (context) => {
  const problem = await probeAcceleration('kvm')
  context.diagnostic(problem ?? 'KVM works here')
  assert.ok(problem === null || problem.includes('kvm'))
})

test('auto is KVM where guests run with it, else emulation; it is found out once', async () => {
  let count = 0
  const host = (problem: string | null) =>
    new HostAcceleration(async () => {
      count++
      return problem
    })
  const good = host(null)
  assert.deepEqual(await Promise.all([good.of('auto'), good.of('kvm'), good.of('tcg')]), ['kvm', 'kvm', 'tcg'])
  assert.equal(count, 1)
  const bad = host('it hangs')
  assert.equal(await bad.of('auto'), 'tcg')
  assert.equal(await bad.of('tcg'), 'tcg')
  await assert.rejects(bad.of('kvm'), (error) => error instanceof AgentError && /KVM, and it hangs/.test(error.message))
})

const skip = isInstalled('as') && isInstalled('ld') ? false : 'binutils are not installed'
test('the probe’s bytes are what its source is assembled to', { skip }, (context) => {
  const folder = temporaryFolder(context)
  const [object, image] = [join(folder, 'probe.o'), join(folder, 'probe')]
  execFileSync('as', ['--64', '-o', object, join(import.meta.dirname, 'boot-probe.s')])
  execFileSync('ld', ['-Ttext', '0x7c00', '-e', '0x7c00', '--oformat', 'binary', '-o', image, object])
  assert.deepEqual(bootProbe().subarray(0, 512), readFileSync(image))
})
