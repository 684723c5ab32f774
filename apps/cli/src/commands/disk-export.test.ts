import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { RestError } from '@cryptvisor/rest'
import { openDesk } from '../testing/desk.ts'

const content = randomBytes(300_000)

test('a disk is written whole to a new file that only its owner can read', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = content
  const path = join(desk.folder, 'disk.img')
  const { exitCode, stdout, stderr } = await desk.run(['disk', 'export', 'db1', '0', path, '--json'])
  assert.equal(exitCode, 0, stderr)
  const sha256 = createHash('sha256').update(content).digest('hex')
  assert.deepEqual(JSON.parse(stdout), { path, format: 'raw', sizeBytes: content.length, sha256 })
  assert.deepEqual(readFileSync(path), content)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.ok(!existsSync(`${path}.part`))
  assert.deepEqual(fake.changes, [{ call: 'POST /api/v1/vms/db1/disks/0/export', body: { format: 'raw' } }])
  const words = await desk.run(['disk', 'export', 'db1', '1', `${path}.qcow2`, '--format', 'qcow2'])
  assert.match(words.stdout, new RegExp(`qcow2, 293 KiB, SHA-256 ${sha256}`))
})

test('a file that is there is not overwritten, and nothing is asked for it', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = content
  const path = desk.file('disk.img', 'precious')
  const there = await desk.run(['disk', 'export', 'db1', '0', path])
  assert.equal(there.exitCode, 2)
  assert.match(there.stderr, /disk\.img is there already/)
  assert.deepEqual(fake.calls, [])
  const part = desk.file('other.img.part', 'of somebody else')
  const busy = await desk.run(['disk', 'export', 'db1', '0', join(desk.folder, 'other.img')])
  assert.match(busy.stderr, /other\.img\.part is there already/)
  assert.deepEqual([readFileSync(path, 'utf8'), readFileSync(part, 'utf8')], ['precious', 'of somebody else'])
})

test('of an export that breaks off or is refused nothing is left', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = content
  fake.exportBreaksOff = true
  const path = join(desk.folder, 'disk.img')
  const broken = await desk.run(['disk', 'export', 'db1', '0', path])
  assert.equal(broken.exitCode, 3, broken.stderr)
  fake.refusals.set('POST /api/v1/vms/db1/disks/0/export', new RestError(403, 'no-privilege', 'not you'))
  const refused = await desk.run(['disk', 'export', 'db1', '0', path])
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /not you/)
  assert.ok(!existsSync(path) && !existsSync(`${path}.part`))
})

test('«-» is refused: no file is called so by mistake', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { exitCode, stderr } = await desk.run(['disk', 'export', 'db1', '0', '-'])
  assert.equal(exitCode, 2)
  assert.match(stderr, /not written to standard output/)
  assert.deepEqual(fake.calls, [])
})
