import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AuditRecord } from '@cryptvisor/control-plane-api'
import { createWork } from '../create-work.ts'
import { ask } from '../testing/ask.ts'
import { password, startBench } from '../testing/bench.ts'

test('each change, each refusal and each failed login is on record, with who, from where and how it ended', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  await admin.createCluster({ name: 'east' })
  await assert.rejects(admin.createCluster({ name: 'east' }), { answerCode: 'already-exists' })
  await admin.createUser({ name: 'reader', password, role: 'ReadOnly' })
  const reader = await bench.logIn('reader')
  await assert.rejects(reader.deleteCluster('east'), { answerCode: 'no-privilege' })
  await assert.rejects(reader.audit(), { answerCode: 'no-privilege' })
  await assert.rejects(bench.client().login({ user: 'reader', password: 'wrong-wrong-wrong' }), {
    answerCode: 'not-logged-in',
  })
  await ask(bench.service.url, bench.ca, { method: 'GET', path: '/api/v1/vms' })
  await admin.vms()

  const { records } = await admin.audit({ kind: 'request', limit: 1000 })
  const lines = records
    .toReversed()
    .map(({ user, operation, object, privilege, outcome }) => [user, operation, object, privilege, outcome].join(' | '))
  assert.deepEqual(lines, [
    '- | POST /api/v1/login | login |  | success',
    'admin | POST /api/v1/clusters | clusters east | Host.Inventory.CreateCluster | success',
    'admin | POST /api/v1/clusters | clusters east | Host.Inventory.CreateCluster | already-exists',
    'admin | POST /api/v1/users | users reader | Authorization.ModifyPermissions | success',
    '- | POST /api/v1/login | login |  | success',
    'reader | DELETE /api/v1/clusters/:name | clusters/east | Host.Inventory.DeleteCluster | no-privilege',
    'reader | GET /api/v1/audit | audit | Global.Diagnostics | no-privilege',
    '- | POST /api/v1/login | login |  | not-logged-in',
    '- | GET /api/v1/vms | vms | System.Read | not-logged-in',
  ])
  for (const record of records) {
    assert.equal(record.address, '127.0.0.1')
    assert.notEqual(record.requestId, null)
    assert.equal(record.session === null, record.user === '-')
    assert.deepEqual(Object.keys(record), Object.keys(AuditRecord.properties))
  }
  // What happened within a request names it.
  const { records: events } = await admin.audit({ kind: 'event', user: 'reader' })
  assert.deepEqual(
    events.map(({ operation, outcome, address }) => [operation, outcome, address]),
    [
      ['user.login-failed', 'success', '127.0.0.1'],
      ['user.login', 'success', '127.0.0.1'],
    ],
  )
  const login = records.find(({ requestId }) => requestId === events[1]?.requestId)
  assert.equal(login?.operation, 'POST /api/v1/login')
  assert.ok(!JSON.stringify(await admin.audit({ limit: 1000 })).includes(password))
})

test('strangers cannot fill the audit: what they do is counted', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  for (let count = 0; count < 40; count++) {
    await ask(bench.service.url, bench.ca, { method: 'GET', path: '/api/v1/hosts' })
  }
  bench.pass(61_000)
  await ask(bench.service.url, bench.ca, { method: 'GET', path: '/api/v1/hosts' })
  const { records } = await admin.audit({ user: '-', kind: 'request', limit: 1000 })
  assert.ok(records.length <= 33, `${records.length} records`)
  assert.match(records[0]?.text ?? '', /\d+ more requests of strangers were not recorded one by one/)
})

test('the audit is checked, exported and pruned, and what somebody changed is told by an event', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  await admin.createCluster({ name: 'east' })
  assert.equal((await admin.checkAudit()).problem, null)
  const lines: string[] = []
  for await (const line of admin.auditExport(new AbortController().signal)) lines.push(line)
  assert.equal(JSON.parse(lines[0] ?? '').format, 'cryptvisor-audit-1')
  assert.equal(JSON.parse(lines.at(-1) ?? '').head.position, lines.length - 2)
  const record: AuditRecord = JSON.parse(lines[2] ?? '')
  await assert.rejects(admin.pruneAudit({ through: 2, hash: 'a'.repeat(64) }), { answerCode: 'invalid' })
  await admin.pruneAudit({ through: 2, hash: record.hash })
  assert.deepEqual([(await admin.checkAudit()).whole, (await admin.checkAudit()).firstPosition], [true, 3])
  await bench.restart()
  const again = await bench.logIn()
  assert.equal((await again.checkAudit()).whole, true)
  await bench.withDatabase((database) =>
    database.updateTable('audit').set({ user_name: 'nobody' }).where('position', '=', 4).execute(),
  )
  assert.equal((await again.checkAudit()).badPosition, 4)
  await again.checkAudit()
  const { events } = await again.events({ type: 'audit.chain-broken' })
  assert.equal(events.length, 1)
  assert.match(events[0]?.text ?? '', /record 4 is not as it was written/)
})
