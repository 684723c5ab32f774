import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

const backup = Buffer.concat([Buffer.from('{"format":"cryptvisor-luks-header","version":1}\n'), Buffer.alloc(4096, 7)])

test('a header is written whole to a new file that only its owner can read', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = backup
  const path = join(desk.folder, 'db1.header')
  const { exitCode, stdout, stderr } = await desk.run(['disk', 'header-backup', 'db1', '1', path, '--json'])
  assert.equal(exitCode, 0, stderr)
  const sha256 = createHash('sha256').update(backup).digest('hex')
  assert.deepEqual(JSON.parse(stdout), { path, sizeBytes: backup.length, sha256 })
  assert.deepEqual(readFileSync(path), backup)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(
    fake.changes.map(({ call }) => call),
    ['POST /api/v1/vms/db1/disks/1/header-backup'],
  )
  const again = await desk.run(['disk', 'header-backup', 'db1', '1', path])
  assert.equal(again.exitCode, 2)
  assert.match(again.stderr, /is there already/)
  fake.exportBreaksOff = true
  const other = join(desk.folder, 'other.header')
  assert.equal((await desk.run(['disk', 'header-backup', 'db1', '1', other])).exitCode, 3)
  assert.ok(!existsSync(other) && !existsSync(`${other}.part`))
})

test('a backup is announced with its size, and sent', async (context) => {
  const { desk, fake } = await openDesk(context)
  const path = desk.file('db1.header', backup)
  const { exitCode, stderr } = await desk.run(['disk', 'header-restore', 'db1', '0', path])
  assert.equal(exitCode, 0, stderr)
  const [announced] = fake.changes
  assert.deepEqual(announced, {
    call: 'POST /api/v1/vms/db1/disks/0/header-restore',
    body: { contentBytes: backup.length },
  })
  assert.deepEqual(fake.contents, [createHash('sha256').update(backup).digest('hex')])
})

test('a file that is no backup of a header is refused, and nothing is asked for it', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const content of ['LUKS and more', '{"format":"another"}\n']) {
    const path = desk.file('db1.header', content)
    const { exitCode, stderr } = await desk.run(['disk', 'header-restore', 'db1', '0', path])
    assert.equal(exitCode, 2)
    assert.match(stderr, /is not a backup of a header/)
  }
  assert.deepEqual(fake.calls, [])
})
