import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { RestClientError } from '@cryptvisor/rest'
import { verifyBackup } from '../backup/verify-backup.ts'
import { ask } from '../testing/ask.ts'
import { startBench } from '../testing/bench.ts'

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-backups-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('a backup that is read out is whole, is an event, and leaves nothing behind', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const folder = temporaryFolder(context)
  const { stream, sizeBytes } = await admin.backUp()
  const bytes = await buffer(stream)
  assert.equal(bytes.length, sizeBytes)
  const path = join(folder, 'cp.backup')
  writeFileSync(path, bytes)
  const { manifest } = await verifyBackup(path, bench.ca)
  const [event] = (await admin.events({ type: 'system.backup-made' })).events
  assert.equal(event?.user, 'admin')
  assert.equal((await admin.system()).backup.lastBackupAt, manifest.createdAt)
  assert.deepEqual(
    readdirSync(bench.folder).filter((name) => name.startsWith('backup-')),
    [],
  )
})

test('one backup is read at a time, and one that is given up makes room for the next', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const giveUp = new AbortController()
  const { stream } = await admin.backUp(giveUp.signal)
  // Nobody reads it, so it stays open, unless all of it fits into the buffers between us.
  const second = await admin.backUp().then(
    (answer) => answer,
    (error: unknown) => error,
  )
  if (second instanceof RestClientError) {
    assert.equal(second.answerCode, 'too-busy')
  }
  giveUp.abort()
  stream.destroy()
  for (;;) {
    try {
      await buffer((await admin.backUp()).stream)
      break
    } catch (error) {
      assert.ok(error instanceof RestClientError && error.answerCode === 'too-busy')
    }
  }
})

test('backups are made when they are due, the newest stay, and a failure is told once and tried again', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const folder = temporaryFolder(context)
  const { backups } = bench.service.platform
  const names = () => readdirSync(folder).toSorted()
  writeFileSync(join(folder, 'somebody-elses.backup'), '')
  await admin.setBackupSchedule({ folder, intervalMinutes: 60, keepCount: 2 })
  for (let round = 1; round <= 4; round++) {
    await backups.makeIfDue()
    assert.equal(names().length, Math.min(round, 2) + 1, `round ${round}`)
    await backups.makeIfDue()
    assert.equal(names().length, Math.min(round, 2) + 1, 'not before it is due')
    bench.pass(3_600_000)
  }
  const newest = names().findLast((name) => name.startsWith('cryptvisor-')) ?? ''
  await verifyBackup(join(folder, newest), bench.ca)
  assert.ok(names().includes('somebody-elses.backup'))

  rmSync(folder, { recursive: true })
  for (let round = 0; round < 3; round++) {
    await backups.makeIfDue()
    bench.pass(900_000)
  }
  // The hours that went by were longer than a session lasts that nobody uses.
  const later = await bench.logIn()
  const { events } = await later.events({ type: 'system.backup-failed' })
  assert.equal(events.length, 1)
  assert.match(events[0]?.text ?? '', /ENOENT/)
  assert.match((await later.backupSchedule()).lastFailure ?? '', /ENOENT/)
  mkdirSync(folder)
  await backups.makeIfDue()
  assert.equal(names().length, 1)
  assert.equal((await later.backupSchedule()).lastFailure, null)
  await later.clearBackupSchedule()
  bench.pass(7_200_000)
  await backups.makeIfDue()
  assert.equal(names().length, 1)
})

test('a schedule into the data folder, a missing one or a relative path is refused, and nothing changes', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  for (const folder of [bench.folder, join(bench.folder, 'backups'), '/no/such/folder', '/tmp/../tmp']) {
    await assert.rejects(
      admin.setBackupSchedule({ folder, intervalMinutes: 60, keepCount: 2 }),
      (error) => error instanceof RestClientError && error.field === 'folder',
      folder,
    )
  }
  assert.equal((await admin.backupSchedule()).folder, null)
})

test('what keeps it from working is for whoever is logged in; settling needs a restore', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { token } = await admin.login({ user: 'admin', password: 'correct horse battery staple' })
  const { url } = bench.service
  const readyz = (headers: Record<string, string>) =>
    ask(url, bench.ca, { method: 'GET', path: '/readyz', headers, body: Buffer.alloc(0) })
  assert.deepEqual((await readyz({})).body, { status: 'ok' })
  assert.deepEqual((await readyz({ authorization: 'Bearer nonsense' })).body, { status: 'ok' })
  const { checks } = (await readyz({ authorization: `Bearer ${token}` })).body as { checks: { name: string }[] }
  assert.deepEqual(
    checks.map(({ name }) => name),
    ['database', 'barrier', 'work', 'epoch'],
  )
  assert.equal((await admin.system()).onHold, false)
  await assert.rejects(admin.settle(), /nothing to settle/)
  await bench.withDatabase((database) => database.updateTable('installation').set({ on_hold: 1 }).execute())
  assert.equal((await admin.settle()).onHold, false)
})
