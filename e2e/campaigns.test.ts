import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Campaign, CampaignReport, Cluster, Rehearsal, Task } from '@cryptvisor/control-plane-api'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, sha256 } from './lab-under-test.ts'

const mib = 1_048_576

test('a campaign over VMs is killed with its control plane in the middle, and each VM is rekeyed once', async (context) => {
  const lab = await LabUnderTest.start(context)
  const names = ['a', 'b', 'c', 'd']
  const image = lab.path('disk.img')
  makeRawImage(image, 4 * mib, knownText())
  const before = new Map<string, string | undefined>()
  for (const name of names) {
    await lab.json('vm', 'import', name, '--disk', image)
    await lab.json('vm', 'encrypt', name)
    before.set(name, (await lab.vm(name)).home.key?.keyId)
  }

  const dryRun = await lab.json<Rehearsal>('campaign', 'add', 'yearly', '--at-once', '1', '--dry-run')
  assert.equal(dryRun.dryRun, true)
  assert.match(dryRun.effects[0]?.text ?? '', /yearly \(shallow\) was made; 4 VMs are among those now/)
  assert.deepEqual(await lab.json<Campaign[]>('campaign', 'list'), [])
  const preview = await lab.json<{ vms: { vm: string; problem: string | null }[] }>('campaign', 'preview')
  assert.deepEqual(
    preview.vms.map(({ vm, problem }) => [vm, problem]),
    names.map((name) => [name, null]),
  )

  await lab.json('campaign', 'add', 'yearly', '--at-once', '1')
  await eventually('a VM to be at work', async () => {
    const { lastRun } = await lab.json<Campaign>('campaign', 'show', 'yearly')
    return (lastRun?.counts.running ?? 0) > 0 || (lastRun?.counts.done ?? 0) > 0 || null
  })
  const { pid } = lab.lab.service('control-plane')
  assert.ok(pid !== null)
  process.kill(pid, 'SIGKILL')
  await lab.lab.stop('control-plane')
  await lab.lab.start('control-plane')

  const report = await eventually('the end of the campaign', async () => {
    const told = await lab.json<CampaignReport>('campaign', 'report', 'yearly')
    return told.run.state === 'running' ? null : told
  })
  assert.equal(report.run.state, 'done')
  assert.deepEqual(report.run.counts, { pending: 0, running: 0, done: 4, failed: 0, skipped: 0 })
  for (const { vm, oldKeys, newKey } of report.items) {
    assert.equal(oldKeys[0]?.keyId, before.get(vm))
    assert.deepEqual((await lab.vm(vm)).home.key, newKey)
  }
  assert.equal((await lab.events('--type', 'vm.crypto.rekeyed')).length, 4, 'none was rekeyed twice')
  const csv = await lab.cryptvisor('campaign', 'report', 'yearly', '--format', 'csv')
  assert.equal(csv.stdout.split('\r\n').length, 6)
  await lab.json('vm', 'decrypt', 'a')
  assert.equal(await sha256((await lab.vm('a')).disks[0]?.path ?? ''), await sha256(image))
})

test('a dry run shows the task and changes nothing; a command with the same key is done once', async (context) => {
  const lab = await LabUnderTest.start(context)
  const image = lab.path('disk.img')
  makeRawImage(image, 2 * mib, knownText())
  await lab.json('vm', 'import', 'web', '--disk', image)
  const events = (await lab.events()).length
  const { stdout, exitCode } = await lab.cryptvisor('vm', 'encrypt', 'web', '--dry-run')
  assert.equal(exitCode, 0)
  assert.match(stdout, /nothing was changed/)
  assert.match(stdout, /ask key provider .* for a new key/)
  assert.match(stdout, /encrypt disk 0/)
  assert.equal((await lab.vm('web')).encryption, 'plain')
  assert.equal(
    (await lab.json<Task[]>('task', 'list', '--vm', 'web')).some(({ type }) => type === 'vm.encrypt'),
    false,
  )
  assert.equal((await lab.events()).length, events)
  const refused = await lab.cryptvisor('vm', 'decrypt', 'nobody', '--dry-run')
  const real = await lab.cryptvisor('vm', 'decrypt', 'nobody')
  assert.deepEqual([refused.exitCode, refused.stderr], [real.exitCode, real.stderr])

  const key = ['--idempotency-key', 'once-1']
  const first = await lab.json<Task>('vm', 'encrypt', 'web', ...key)
  const again = await lab.json<Task>('vm', 'encrypt', 'web', ...key)
  assert.equal(again.id, first.id)
  const cluster = await lab.json<Cluster>('cluster', 'add', 'second', ...['--idempotency-key', 'once-2'])
  assert.deepEqual(await lab.json<Cluster>('cluster', 'add', 'second', ...['--idempotency-key', 'once-2']), cluster)
})
