import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, type Privilege, plainPolicy, privileges } from '@cryptvisor/control-plane-api'
import { openControlPlaneDatabase } from '../database/open.ts'
import { TestWork } from '../testing/test-work.ts'
import { everywhere } from './access-control.ts'
import { EventLog } from './events.ts'
import { Policies } from './policies.ts'

const without = (...missing: Privilege[]) =>
  everywhere(
    'ada',
    privileges.filter((privilege) => !missing.includes(privilege)),
  )
const ada = without()

async function setUp() {
  const database = await openControlPlaneDatabase(':memory:')
  const clock = () => Date.parse('2026-11-24T12:00:00Z')
  const work = new TestWork()
  const events = new EventLog(database, clock)
  return {
    database,
    events,
    work,
    policies: new Policies(database, events, () => work, clock),
    [Symbol.asyncDispose]: () => database.destroy(),
  }
}

test('a policy is made, shown, cloned, changed and removed, and each is told', async () => {
  await using plane = await setUp()
  const { policies, work } = plane
  const gold = await policies.create(
    {
      name: 'Gold',
      encryption: true,
      rotationDays: 90,
      onRevocation: 'stop-after-grace',
      graceMinutes: 60,
      thin: true,
    },
    ada,
  )
  assert.deepEqual(gold, await policies.show('Gold'))
  const { id: _, ...shown } = gold
  assert.deepEqual(shown, {
    name: 'Gold',
    description: '',
    version: 1,
    system: false,
    encryption: true,
    keyProvider: null,
    thin: true,
    verify: false,
    rotationDays: 90,
    onRevocation: 'stop-after-grace',
    graceMinutes: 60,
    hardened: false,
    usedBy: { homes: 0, disks: 0 },
    changedAt: '2026-11-24T12:00:00.000Z',
    changedBy: 'ada',
  })
  const silver = await policies.create({ name: 'Silver', cloneOf: 'Gold', thin: false, onRevocation: 'stop' }, ada)
  assert.deepEqual(
    [silver.rotationDays, silver.thin, silver.onRevocation, silver.graceMinutes],
    [90, false, 'stop', null],
  )
  const changed = await policies.change('Silver', { rotationDays: null }, ada)
  assert.deepEqual([changed.version, changed.rotationDays], [2, null])
  assert.deepEqual(work.told, ['policy Silver changed'])
  await policies.remove('Silver', ada)
  assert.deepEqual(
    (await plane.events.list({ after: 0, limit: 10 })).map(({ type }) => type),
    ['policy.added', 'policy.added', 'policy.changed', 'policy.removed'],
  )
  assert.deepEqual(
    (await policies.list()).map(({ name }) => name),
    [plainPolicy, 'Gold', encryptionPolicy],
  )
})

test('another description, or the same rules again, put no VM out of date', async () => {
  await using plane = await setUp()
  await plane.policies.create({ name: 'Gold', encryption: true }, ada)
  const changed = await plane.policies.change('Gold', { description: 'for gold', encryption: true }, ada)
  assert.deepEqual([changed.version, changed.description], [1, 'for gold'])
  assert.deepEqual(plane.work.told, [])
})

test('the two that are always there can be cloned, and neither changed nor removed', async () => {
  await using plane = await setUp()
  for (const name of [encryptionPolicy, plainPolicy]) {
    await assert.rejects(plane.policies.change(name, { description: 'mine' }, ada), {
      code: 'in-use',
      message: /always there and cannot be changed: clone it/,
    })
    await assert.rejects(plane.policies.remove(name, ada), { code: 'in-use', message: /cannot be removed/ })
    await plane.policies.create({ name: `${name} 2`, cloneOf: name }, ada)
  }
})

test('rules that do not go together are refused, naming the field', async () => {
  await using plane = await setUp()
  for (const [rules, field, message] of [
    [{ encryption: true, onRevocation: 'stop-after-grace' }, 'graceMinutes', /needs to know how many minutes/],
    [{ encryption: true, graceMinutes: 5 }, 'graceMinutes', /goes with stop-after-grace alone/],
    [{ thin: true }, 'thin', /a rule for what is encrypted/],
    [{ verify: true }, 'verify', /a rule for what is encrypted/],
    [{ rotationDays: 9 }, 'rotationDays', /a rule for what is encrypted/],
    [{ onRevocation: 'stop' }, 'onRevocation', /a rule for what is encrypted/],
    [{ hardened: true }, 'hardened', /a rule for what is encrypted/],
  ] as const) {
    const made = plane.policies.create({ name: 'Bad', ...rules }, ada)
    await assert.rejects(made, { code: 'invalid', field, message })
  }
  const unknown = plane.policies.create({ name: 'Bad', encryption: true, keyProvider: 'none' }, ada)
  await assert.rejects(unknown, { code: 'not-found', field: 'keyProvider' })
  await assert.rejects(plane.policies.create({ name: 'Bad', cloneOf: 'none' }, ada), { code: 'not-found' })
  await assert.rejects(plane.policies.create({ name: plainPolicy }, ada), { code: 'already-exists', field: 'name' })
  assert.equal((await plane.policies.list()).length, 2)
})

test('policies that encrypt, before or afterwards, need a privilege of their own', async () => {
  await using plane = await setUp()
  const other = without('Cryptographer.ManageEncryptionPolicy')
  await plane.policies.create({ name: 'Gold', encryption: true }, ada)
  await plane.policies.create({ name: 'Plain' }, other)
  const refused = { code: 'no-privilege', message: /Cryptographer\.ManageEncryptionPolicy/ }
  await assert.rejects(plane.policies.create({ name: 'New', encryption: true }, other), refused)
  await assert.rejects(plane.policies.create({ name: 'New', cloneOf: 'Gold' }, other), refused)
  await assert.rejects(plane.policies.change('Gold', { description: 'x' }, other), refused)
  await assert.rejects(plane.policies.change('Gold', { encryption: false }, other), refused)
  await assert.rejects(plane.policies.change('Plain', { encryption: true }, other), refused)
  await assert.rejects(plane.policies.remove('Gold', other), refused)
  await plane.policies.change('Plain', { description: 'x' }, other)
  await plane.policies.remove('Plain', other)
})
