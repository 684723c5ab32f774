import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CoverageFormat, type CoverageReport, encryptionPolicy } from '@cryptvisor/control-plane-api'
import type { Scope } from '../permissions/scope.ts'
import { admin, World } from '../work/testing/world.ts'
import { coverageReport } from './coverage-report.ts'
import { coverageTexts } from './coverage-text.ts'

const everything = { everywhere: true } as Scope
const textOf = async (world: World, format: CoverageFormat) =>
  (await Array.fromAsync(coverageReport(world.process.database, Date.now, format, everything))).join('')

test('what is plain comes first, each part with policy, key, its age and state; the totals are right', async (context) => {
  const world = await World.start(context)
  for (const name of ['a-whole', 'b-part', 'c-plain']) await world.plainVm(name)
  for (const ask of [
    () => world.work.changePolicy(admin, 'a-whole', { policy: encryptionPolicy }),
    () =>
      world.work.changePolicy(admin, 'b-part', {
        home: encryptionPolicy,
        disks: [{ number: 1, policy: encryptionPolicy }],
      }),
  ]) {
    const task = await world.ended(await ask())
    assert.equal(task.state, 'success', task.error?.message)
  }
  const report = JSON.parse(await textOf(world, 'json')) as CoverageReport
  assert.deepEqual(
    report.rows.map(({ vm, part, encrypted }) => `${vm} ${part} ${encrypted}`),
    [
      ...['c-plain VM Home false', 'c-plain disk 0 false', 'c-plain disk 1 false'],
      ...['b-part VM Home true', 'b-part disk 0 false', 'b-part disk 1 true'],
      ...['a-whole VM Home true', 'a-whole disk 0 true', 'a-whole disk 1 true'],
    ],
  )
  assert.deepEqual(report.totals, {
    vms: 3,
    encryptedVms: 1,
    partialVms: 1,
    plainVms: 1,
    disks: 6,
    encryptedDisks: 3,
    bytes: 9216,
    encryptedBytes: 5120,
    encryptedVmsPercent: 33.3,
    encryptedDisksPercent: 50,
    encryptedBytesPercent: 55.5,
  })
  const whole = report.rows.find(({ vm, part }) => vm === 'a-whole' && part === 'disk 0')
  assert.deepEqual(
    [whole?.policy, whole?.provider, whole?.keyId, whole?.keyAgeDays, whole?.keyState],
    [encryptionPolicy, 'vault', 'key-3', 0, 'unchecked'],
  )
  const csv = await textOf(world, 'csv')
  assert.equal(csv.split('\r\n').length, 11, 'a head, nine rows, and the end of the last one')
})

test('nothing in a name becomes a formula, another cell or markup', () => {
  const row = {
    vm: '=HYPERLINK("http://x","y")',
    vmId: '-1',
    cluster: '@a',
    host: '+b',
    part: '<script>',
    sizeBytes: 1,
    encrypted: false,
    policy: 'a,"b"',
    compliance: '&',
    provider: null,
    keyId: null,
    keyAgeDays: null,
    keyState: null,
    lastVerified: null,
    lock: "'",
  }
  assert.equal(
    coverageTexts.csv.row(row, true),
    `"'=HYPERLINK(""http://x"",""y"")",'-1,'@a,'+b,<script>,1,no,"a,""b""",&,,,,,,'\r\n`,
  )
  assert.doesNotMatch(coverageTexts.html.row(row, true), /<script>|&[^#]/)
})

test('thousands of VMs come page by page, each once, in order', async (context) => {
  const world = await World.start(context)
  await world.plainVm('v-0')
  const { database } = world.process
  const [vm] = await database.selectFrom('vm').selectAll().execute()
  assert.ok(vm)
  for (let index = 1; index <= 1200; index++) {
    const name = `v-${index}`
    await database
      .insertInto('vm')
      .values({ ...vm, id: name, name, folder: name })
      .execute()
  }
  const pieces = await Array.fromAsync(coverageReport(database, Date.now, 'json', everything))
  assert.ok(pieces.length > 4)
  const { rows } = JSON.parse(pieces.join('')) as CoverageReport
  const names = rows.filter(({ part }) => part === 'VM Home').map((row) => row.vm)
  assert.equal(names.length, 1201)
  assert.deepEqual(names, names.toSorted())
})
