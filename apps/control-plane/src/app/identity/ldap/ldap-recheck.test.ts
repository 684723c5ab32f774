import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { Slapd, suffix } from '@cryptvisor/testkit/slapd'
import { Attribute, Change } from 'ldapts'
import {
  changing,
  directoryConfig,
  directoryEntries,
  openDirectoryPlane,
  passwordOf,
  people,
} from '../../../testing/directory-plane.ts'
import { RecheckTimer } from './recheck-timer.ts'
import { Verdicts } from './verdicts.ts'

const operators = `cn=vm-operators,ou=groups,${suffix}`

/** A directory whose users alice and bob are logged in, alice with an API token, too. */
async function setUp(context: TestContext) {
  const slapd = await Slapd.start(temporaryFolder(context), directoryEntries)
  context.after(() => slapd.stop())
  const setting = await openDirectoryPlane(directoryConfig(slapd))
  context.after(() => setting[Symbol.asyncDispose]())
  const { plane, logIn } = setting
  const callerOf = async (name: string) => {
    const caller = await plane.bearers.authenticate((await logIn(`${name}@corp`, passwordOf(name))).token)
    assert.ok(caller !== null)
    return caller
  }
  const alice = await callerOf('alice')
  const bob = await callerOf('bob')
  const token = await plane.events.transaction((transaction) =>
    plane.bearers.create(transaction, { kind: 'api-token', name: 'ci', user: 'alice@corp', expiresAt: null }),
  )
  const isIn = async (caller: typeof alice) => (await plane.bearers.refresh(caller)) !== null
  const tokenWorks = async () => (await plane.bearers.authenticate(token.token)) !== null
  return { slapd, ...setting, alice, bob, isIn, tokenWorks }
}

const modify = (operation: 'add' | 'replace' | 'delete', type: string, ...values: string[]) =>
  new Change({ operation, modification: new Attribute({ type, values }) })

test('nothing changed there: nothing changes here, and the users count as confirmed', async (context) => {
  const { plane, recheck, alice, bob, isIn, tokenWorks, eventsOf } = await setUp(context)
  plane.pass(3_600_000)
  assert.deepEqual(await recheck(), { checkedCount: 2, ended: [] })
  assert.deepEqual([await isIn(alice), await isIn(bob), await tokenWorks()], [true, true, true])
  const rows = await plane.database.selectFrom('external_user').select('checked_at').execute()
  assert.deepEqual(rows, [{ checked_at: plane.now() }, { checked_at: plane.now() }])
  assert.deepEqual(await eventsOf('identity-source.user-ended'), [])
})

test('whoever is disabled or gone loses sessions and API tokens, and others nothing', async (context) => {
  const { slapd, recheck, alice, bob, isIn, tokenWorks, eventsOf, plane } = await setUp(context)
  await changing(slapd, (client) =>
    client.modify(`uid=alice,${people}`, [modify('replace', 'pwdAccountLockedTime', '000001010000Z')]),
  )
  assert.deepEqual(await recheck(), { checkedCount: 2, ended: [{ user: 'alice@corp', cause: 'is disabled' }] })
  assert.deepEqual([await isIn(alice), await isIn(bob), await tokenWorks()], [false, true, false])
  assert.deepEqual((await plane.groups.list())[0]?.members, ['bob@corp'])
  await changing(slapd, (client) => client.del(`uid=bob,${people}`))
  assert.deepEqual(await recheck(), { checkedCount: 1, ended: [{ user: 'bob@corp', cause: 'is gone' }] })
  assert.deepEqual(await eventsOf('identity-source.user-ended'), [
    'bob@corp is gone, by corp: sessions and API tokens are over (1)',
    'alice@corp is disabled, by corp: sessions and API tokens are over (2)',
  ])
  assert.deepEqual(await recheck(), { checkedCount: 0, ended: [] })
})

test('groups follow the directory; out of all of them is out, unless somebody here gave more', async (context) => {
  const { slapd, recheck, plane, mappings, alice, bob, isIn, eventsOf } = await setUp(context)
  await plane.groups.create({ name: 'auditors' }, plane.admin)
  await mappings.add('corp', { external: 'staff', group: 'auditors' }, plane.admin)
  await plane.groups.create({ name: 'night' }, plane.admin)
  await plane.groups.addMember('night', 'bob@corp', plane.admin)
  await changing(slapd, async (client) => {
    await client.add(`cn=others,ou=groups,${suffix}`, {
      ...{ objectClass: 'groupOfNames', cn: 'others' },
      member: [`uid=bob,${people}`],
    })
    await client.modify(operators, [modify('replace', 'member', `uid=carol,${people}`)])
  })
  assert.deepEqual(await recheck(), { checkedCount: 2, ended: [] })
  const members = (await plane.groups.list()).map(({ name, members }) => [name, members])
  assert.deepEqual(members, [
    ['auditors', ['alice@corp']],
    ['night', ['bob@corp']],
    ['operators', []],
  ])
  const told = await eventsOf('user.changed')
  assert.ok(told.includes('alice@corp is in auditors now and is in operators no more, by corp'), told.join('\n'))
  await mappings.remove('corp', { external: 'staff', group: 'auditors' }, plane.admin)
  const cause = 'is in no group any more that is mapped to one here'
  assert.deepEqual(await recheck(), { checkedCount: 2, ended: [{ user: 'alice@corp', cause }] })
  assert.deepEqual([await isIn(alice), await isIn(bob)], [false, true])
})

test('a user who is renamed there stays', async (context) => {
  const { slapd, recheck, alice, isIn } = await setUp(context)
  await changing(slapd, async (client) => {
    await client.modifyDN(`uid=alice,${people}`, 'uid=alicia')
    await client.modify(operators, [modify('add', 'member', `uid=alicia,${people}`)])
  })
  assert.deepEqual(await recheck(), { checkedCount: 2, ended: [] })
  assert.equal(await isIn(alice), true)
})

test('a directory that is down, stuck, or knows nobody any more takes nothing from anybody, and that is told once', async (context) => {
  const { slapd, recheck, sources, plane, setPassword, alice, bob, isIn, tokenWorks, eventsOf, source } =
    await setUp(context)
  const failed = { code: 'identity-source-failed' }
  await slapd.pause(true)
  const asked = recheck()
  await assert.rejects(asked, failed)
  await slapd.pause(false)
  await slapd.stop()
  await assert.rejects(recheck(), failed)
  assert.equal((await eventsOf('identity-source.failed')).length, 1)
  await slapd.restart()
  assert.equal((await recheck()).checkedCount, 2)
  // Everybody is gone at once: that is the base, a filter, or what we may see.
  await changing(slapd, async (client) => {
    await client.modifyDN(`uid=alice,${people}`, `uid=alice,ou=hidden,${suffix}`)
    await client.modifyDN(`uid=bob,${people}`, `uid=bob,ou=hidden,${suffix}`)
  })
  await assert.rejects(recheck(), failed)
  assert.match((await source()).failure ?? '', /none of its 2 users/)
  assert.equal((await eventsOf('identity-source.failed')).length, 2)
  assert.deepEqual([await isIn(alice), await isIn(bob), await tokenWorks()], [true, true, true])
  // A session is over with other settings, and the token stays while nobody says anything of its user.
  await sources.change('corp', { ldap: directoryConfig(slapd, { userBase: `ou=hidden,${suffix}` }) }, plane.admin)
  await setPassword('the reader’s password')
  await assert.rejects(recheck(), failed)
  assert.equal(await tokenWorks(), true)
})

test('what was asked before a login, or before the source was changed, takes nothing away', async (context) => {
  const { slapd, recheck, plane, logIn, source } = await setUp(context)
  const row = await source()
  const verdicts = new Verdicts(plane.events)
  const before = plane.now()
  plane.pass(1)
  await logIn('alice@corp', passwordOf('alice'))
  assert.equal(await verdicts.end(row, 'alice@corp', 'is gone', before), false)
  const other = { ...row, config: JSON.stringify(directoryConfig(slapd, { nameAttribute: 'cn' })) }
  assert.equal(await verdicts.end(other, 'alice@corp', 'is gone', plane.now()), false)
  assert.deepEqual(await recheck(), { checkedCount: 2, ended: [] })
})

test('the timer asks each directory again and again, and one that fails keeps no other from being asked', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const asked: string[] = []
  const recheck = {
    due: async () => ['broken', 'corp'],
    recheck: async (name: string) => {
      asked.push(name)
      if (name === 'broken') throw new Error('it is broken')
      return { checkedCount: 0, ended: [] }
    },
  }
  const log = { info: () => {}, warn: () => {}, error: () => {} }
  await using _timer = new RecheckTimer(recheck, () => 0.5, log).start()
  for (const ms of [60_000, 15 * 60_000, 15 * 60_000]) {
    context.mock.timers.tick(ms)
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.deepEqual(asked, ['broken', 'corp', 'broken', 'corp', 'broken', 'corp'])
})
