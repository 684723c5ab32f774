import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

test('the control plane tells what it is, what keeps it from working, and that it is on hold', async (context) => {
  const { desk } = await openDesk(context)
  const { exitCode, stdout, stderr } = await desk.run(['system', 'show'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^installation: +0190aaaa/m)
  assert.match(stdout, /^check epoch: +host-a met a newer control plane$/m)
  assert.match(stdout, /^on hold: +yes/m)
  const settled = await desk.run(['system', 'settle'])
  assert.match(settled.stdout, /^on hold: +no$/m)
})

test('a backup is written whole to a new file that only its owner can read, or not at all', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = Buffer.alloc(2048, 7)
  const path = join(desk.folder, 'cp.backup')
  const { exitCode, stdout, stderr } = await desk.run(['system', 'backup', '--out', path, '--json'])
  assert.equal(exitCode, 0, stderr)
  const sha256 = createHash('sha256').update(fake.exported).digest('hex')
  assert.deepEqual(JSON.parse(stdout), { path, sizeBytes: 2048, sha256 })
  assert.deepEqual(readFileSync(path), fake.exported)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal((await desk.run(['system', 'backup', '--out', path])).exitCode, 2)
  fake.exportBreaksOff = true
  const other = join(desk.folder, 'other.backup')
  assert.equal((await desk.run(['system', 'backup', '--out', other])).exitCode, 3)
  assert.ok(!existsSync(other) && !existsSync(`${other}.part`))
})

test('the schedule of backups is shown, set and turned off', async (context) => {
  const { desk, fake } = await openDesk(context)
  assert.match((await desk.run(['system', 'backup-schedule', 'show'])).stdout, /schedule: +none/)
  const args = ['system', 'backup-schedule', 'set', '--folder', '/mnt/backup', '--every', '60']
  const { exitCode, stdout, stderr } = await desk.run(args)
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /every 60 minutes into \/mnt\/backup/)
  assert.equal((await desk.run(['system', 'backup-schedule', 'off'])).exitCode, 0)
  assert.deepEqual(
    fake.changes.map(({ call, body }) => ({ call, body: body ?? null })),
    [
      {
        call: 'PUT /api/v1/system/backup-schedule',
        body: { folder: '/mnt/backup', intervalMinutes: 60, keepCount: 14 },
      },
      { call: 'DELETE /api/v1/system/backup-schedule', body: null },
    ],
  )
  for (const wrong of [
    ['--folder', 'relative', '--every', '60'],
    ['--folder', '/mnt', '--every', '1'],
    ['--folder', '/mnt', '--every', '60', '--keep', '0'],
  ]) {
    assert.equal((await desk.run(['system', 'backup-schedule', 'set', ...wrong])).exitCode, 2, wrong.join(' '))
  }
})

test('metrics are printed as they are, all or those that are asked for', async (context) => {
  const { desk } = await openDesk(context)
  const { stdout } = await desk.run(['system', 'metrics'])
  assert.equal(stdout, '# TYPE cryptvisor_vms gauge\ncryptvisor_vms{encryption="plain"} 3\ncryptvisor_disks 4\n')
  const filtered = await desk.run(['system', 'metrics', '--filter', 'disks', '--json'])
  assert.deepEqual(JSON.parse(filtered.stdout), ['cryptvisor_disks 4'])
})
