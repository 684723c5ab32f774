import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventTypes } from '@cryptvisor/control-plane-api'
import { CertificateAuthority } from '@cryptvisor/pki'
import { openControlPlaneDatabase } from '../../database/open.ts'
import { fillTwoSides, vmOf } from '../../testing/two-tenants.ts'
import { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'
import { AlarmBook } from './alarm-book.ts'
import type { StandingList } from './alarm-definition.ts'
import { alarmDefinitions } from './alarm-definitions.ts'
import { Alarms } from './alarms.ts'
import { certificateAlarms } from './certificate-alarms.ts'
import { Retention } from './retention.ts'

const operator: Principal = { name: 'operator', privileges: new Set(), can: () => true, grantedOn: [] }

async function openAlarms(definitions = alarmDefinitions) {
  let now = Date.parse('2026-11-24T12:00:00Z')
  const clock = () => now
  const database = await openControlPlaneDatabase(':memory:')
  const book = new AlarmBook(definitions, clock)
  const events = new EventLog(database, clock, [book])
  const alarms = new Alarms(database, events, book, definitions, clock)
  const lines = async () =>
    (await alarms.list({ limit: 100 })).map((each) => [each.definition, each.object, each.state, each.count].join(' '))
  return {
    database,
    book,
    events,
    alarms,
    lines,
    retention: new Retention(database, events, clock),
    pass: (ms: number) => {
      now += ms
    },
    [Symbol.asyncDispose]: () => database.destroy(),
  }
}

const locked = (vm: string) => ({ type: 'vm.crypto.locked', vm, text: `VM ${vm} is locked` }) as const

test('a cause raises one alarm for each object, repeats are counted, and the opposite clears it', async () => {
  await using setUp = await openAlarms()
  const { events, lines, alarms } = setUp
  await events.record(locked('db1'))
  await events.record(locked('db1'))
  await events.record(locked('db2'))
  assert.deepEqual(await lines(), ['vm.locked db2 raised 1', 'vm.locked db1 raised 2'].toSorted().toReversed())
  await events.record({ type: 'vm.crypto.unlocked', vm: 'db1', text: 'unlocked' })
  assert.deepEqual(await lines(), ['vm.locked db2 raised 1'])
  await events.record({ type: 'vm.deleted', vm: 'db2', text: 'deleted' })
  assert.deepEqual(await lines(), [])
  const history = await alarms.list({ all: true, limit: 10 })
  assert.deepEqual(history.map(({ object, clearedBy }) => [object, clearedBy]).toSorted(), [
    ['db1', 'system'],
    ['db2', 'system'],
  ])
  const told = (await events.list({ after: 0, limit: 100 })).filter(({ type }) => type.startsWith('alarm.'))
  assert.deepEqual(
    told.map(({ type, vm }) => `${type} ${vm}`),
    ['alarm.red db1', 'alarm.red db2', 'alarm.cleared db1', 'alarm.cleared db2'],
  )
})

test('an alarm is raised when its event is, or neither is', async () => {
  await using setUp = await openAlarms()
  const { events, lines } = setUp
  await assert.rejects(
    events.transaction(async (_transaction, record) => {
      await record(locked('db1'))
      throw new Error('the process dies')
    }),
  )
  assert.deepEqual(await lines(), [])
})

test('one that is acknowledged stays until its cause is gone; one that is cleared by hand comes again', async () => {
  await using setUp = await openAlarms()
  const { events, lines, alarms } = setUp
  await events.record(locked('db1'))
  const [alarm] = await alarms.list({ limit: 1 })
  assert.ok(alarm)
  const { acknowledgedBy, state } = await alarms.acknowledge(alarm.id, operator)
  assert.deepEqual([acknowledgedBy, state], ['operator', 'acknowledged'])
  await events.record(locked('db1'))
  assert.deepEqual(await lines(), ['vm.locked db1 acknowledged 2'])
  await alarms.clear(alarm.id, operator)
  assert.deepEqual(await lines(), [])
  await assert.rejects(alarms.acknowledge(alarm.id, operator), { code: 'invalid' })
  await events.record(locked('db1'))
  assert.deepEqual(await lines(), ['vm.locked db1 raised 1'])
  await assert.rejects(alarms.show('nothing'), { code: 'not-found' })
})

test('a look at the state raises and clears what no event told, and leaves alone what it does not know', async () => {
  let found: StandingList = { holds: [] }
  const [definition] = alarmDefinitions
  assert.ok(definition)
  await using setUp = await openAlarms([{ ...definition, look: async () => found }])
  const { book, events, database, lines } = setUp
  found = {
    holds: [
      { object: 'db1', text: 'locked' },
      { object: 'db2', text: 'locked' },
    ],
  }
  await book.reconcile(events, database)
  await book.reconcile(events, database)
  assert.deepEqual((await lines()).toSorted(), ['vm.locked db1 raised 1', 'vm.locked db2 raised 1'])
  found = { holds: [], undecided: new Set(['db2']) }
  await book.reconcile(events, database)
  assert.deepEqual(await lines(), ['vm.locked db2 raised 1'])
})

test('each certificate has its alarm 60, 30 and 7 days ahead and when it is over, one at a time', async () => {
  const { authority, privateKey } = await CertificateAuthority.create(
    'CA',
    3650,
    () => new Date('2026-11-24T12:00:00Z'),
  )
  privateKey[Symbol.dispose]()
  await using setUp = await openAlarms([...alarmDefinitions, ...certificateAlarms(authority.certificate)])
  const { book, events, database, lines, pass } = setUp
  await book.reconcile(events, database)
  assert.deepEqual(await lines(), [])
  await database.insertInto('cluster').values({ id: 'c', name: 'c' }).execute()
  await database
    .insertInto('host')
    .values({
      id: 'h',
      name: 'host-a',
      cluster_id: 'c',
      url: 'https://127.0.0.1',
      hardware_uuid: 'u',
      certificate_serial: '1',
      certificate_expires_at: Date.parse('2027-02-22T12:00:00Z'),
      crypto_supported: 1,
      created_at: 0,
    })
    .execute()
  for (const [days, expected] of [
    [29, []],
    [1, ['60-days']],
    [29, ['60-days']],
    [1, ['30-days']],
    [23, ['7-days']],
    [7, ['expired']],
  ] as const) {
    pass(days * 86_400_000)
    await book.reconcile(events, database)
    assert.deepEqual(
      await lines(),
      expected.map((stage) => `certificate.${stage} certificate of host host-a raised 1`),
    )
  }
  await database
    .updateTable('host')
    .set({ certificate_expires_at: Date.parse('2029-01-01T00:00:00Z') })
    .execute()
  await book.reconcile(events, database)
  assert.deepEqual(await lines(), [])
})

test('a VM that could not be made leaves no alarm behind: there is nothing that could ever clear it', async () => {
  await using setUp = await openAlarms()
  const { events, database, lines } = setUp
  await fillTwoSides(database)
  await events.record({ type: 'vm.crypto.failed', vm: 'never-made', text: 'making it failed' })
  await events.record({ type: 'vm.crypto.failed', vm: vmOf('mine'), text: 'rekeying it failed' })
  assert.deepEqual(await lines(), [`vm.task-failed ${vmOf('mine')} raised 1`])
})

test('the alarm of a revoked key goes when the VM was given another key', async () => {
  await using setUp = await openAlarms()
  const { book, events, database, lines } = setUp
  await events.record({ type: 'vm.crypto.key-revoked', vm: 'db1', provider: 'kms', keyId: '7', text: 'revoked' })
  assert.deepEqual(await lines(), ['vm.key-revoked db1 raised 1'])
  // A rekey has taken the VM's row out of vm_revocation.
  await book.reconcile(events, database)
  assert.deepEqual(await lines(), [])
})

test('a key that an event told of stays an alarm until it was looked at again', async () => {
  await using setUp = await openAlarms()
  const { book, events, database, lines, pass } = setUp
  const named = { provider: 'kms', key_id: '7' }
  const owner = { owner_kind: 'vm', owner_id: 'v', owner_name: 'db1', state: 'current' } as const
  await database
    .insertInto('key')
    .values({ ...named, ...owner, created_at: 0 })
    .execute()
  await events.record({ type: 'kms.crypto.key-missing', provider: 'kms', keyId: '7', text: 'gone' })
  pass(60_000)
  await book.reconcile(events, database)
  assert.deepEqual(await lines(), ['key.unavailable kms/7 raised 1'])
  const health = { ...named, state: 'good', text: 'it is there', checked_at: Date.parse('2026-11-24T12:01:00Z') }
  await database.insertInto('key_health').values(health).execute()
  await book.reconcile(events, database)
  assert.deepEqual(await lines(), [])
})

test('a definition can be switched off and on, and its threshold set', async () => {
  await using setUp = await openAlarms()
  const { events, lines, alarms } = setUp
  await events.record(locked('db1'))
  await alarms.change('vm.locked', { enabled: false }, operator)
  await events.record(locked('db2'))
  assert.deepEqual(await lines(), [])
  await alarms.change('vm.locked', { enabled: true }, operator)
  await events.record(locked('db2'))
  assert.deepEqual(await lines(), ['vm.locked db2 raised 1'])
  await assert.rejects(alarms.change('vm.locked', { threshold: 3 }, operator), { code: 'invalid', field: 'threshold' })
  await assert.rejects(alarms.change('vm.nothing', { enabled: true }, operator), { code: 'not-found' })
  assert.equal((await alarms.change('backup.old', { threshold: 3 }, operator)).threshold, 3)
  assert.equal((await alarms.change('backup.old', { threshold: null }, operator)).threshold, 7)
})

test('every definition has its own name, and no event both raises and clears it', () => {
  const names = alarmDefinitions.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, raisedBy, clearedBy, look } of alarmDefinitions) {
    assert.ok(raisedBy.length > 0 || look !== undefined, `${name} is never raised`)
    assert.deepEqual(
      raisedBy.filter((type) => clearedBy.includes(type)),
      [],
      name,
    )
    for (const type of [...raisedBy, ...clearedBy]) assert.ok(type in eventTypes, type)
  }
})

test('old events go, those that are still to be sent stay, and IDs are never given twice', async () => {
  await using setUp = await openAlarms()
  const { events, retention, database, pass } = setUp
  for (const text of ['1', '2', '3', '4']) await events.record({ type: 'host.connected', host: 'a', text })
  const target = { name: 't', kind: 'webhook', source: 'events', config: '{}', severity: 'info', types: '[]' } as const
  await database
    .insertInto('notification_target')
    .values({ ...target, enabled: 1, cursor: 2, failed_count: 0, created_at: 0 })
    .execute()
  pass(86_400_000 * 10)
  assert.deepEqual(await retention.prune(Date.parse('2026-11-30T00:00:00Z'), null), { removed: 2, kept: 2 })
  await database.deleteFrom('notification_target').execute()
  await retention.set({ eventDays: 5, alarmDays: 5 }, operator)
  await retention.apply()
  assert.deepEqual(
    (await events.list({ limit: 10 })).map(({ id }) => id),
    [5],
  )
  pass(86_400_000 * 10)
  await retention.apply()
  await events.record({ type: 'host.connected', host: 'a', text: 'next' })
  assert.equal(await events.lastId(), 6)
})
