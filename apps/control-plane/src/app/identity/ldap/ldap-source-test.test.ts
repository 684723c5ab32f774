import assert from 'node:assert/strict'
import { test } from 'node:test'
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

const dead = 'ldaps://127.0.0.1:1'

test('a source is tried out: every server, and what the first that works says of a user, without their password', async (context) => {
  await using slapd = await Slapd.start(temporaryFolder(context), directoryEntries)
  const servers = [dead, slapd.tlsUrl, slapd.plainUrl]
  await using setting = await openDirectoryPlane(directoryConfig(slapd, { servers }))
  const { tryOut, plane, logIn, eventsOf, source } = setting
  const bare = await tryOut()
  assert.deepEqual(
    bare.steps.map(({ name, works }) => [name, works]),
    [
      [dead, false],
      [slapd.tlsUrl, true],
      [slapd.plainUrl, true],
    ],
  )
  assert.match(bare.steps[1]?.text ?? '', /certificate and host name checked; bind DN and password taken; ou=people/)
  assert.match(bare.steps[2]?.text ?? '', /StartTLS/)
  assert.deepEqual([bare.works, bare.user], [true, null])

  const alice = (await tryOut('Alice')).user
  assert.deepEqual(
    [alice?.name, alice?.dn, alice?.state, alice?.canLogIn, alice?.problem],
    ['alice@corp', `uid=alice,${people}`, 'may log in', true, null],
  )
  assert.deepEqual(
    alice?.groups.map(({ name, mappedTo }) => [name, mappedTo]),
    [
      ['vm-operators', ['operators']],
      ['staff', []],
    ],
  )
  const carol = await tryOut('carol')
  assert.equal(carol.works, false)
  assert.match(carol.user?.problem ?? '', /map-group/)
  const nobody = await tryOut('*')
  assert.match(nobody.steps.at(-1)?.text ?? '', /no such user/)
  assert.equal(nobody.user, null)

  await logIn('alice@corp', passwordOf('alice'))
  await changing(slapd, async (client) => {
    await client.modifyDN(`uid=alice,${people}`, 'uid=alicia')
    await client.modifyDN(`uid=bob,${people}`, 'uid=alice')
    const modification = new Attribute({ type: 'pwdAccountLockedTime', values: ['000001010000Z'] })
    await client.modify(`uid=alicia,${people}`, [new Change({ operation: 'replace', modification })])
  })
  const renamed = (await tryOut('alicia')).user
  assert.deepEqual([renamed?.name, renamed?.state, renamed?.canLogIn], ['alice@corp', 'is disabled', false])
  const heir = (await tryOut('alice')).user
  assert.equal(heir?.name, null)
  assert.match(heir?.problem ?? '', /user remove alice@corp/)

  // It tried things out, and that is all.
  assert.deepEqual(await eventsOf('identity-source.failed'), [])
  assert.equal((await source()).failed_at, null)
  assert.equal((await plane.users.list()).length, 2)
})

test('what is wrong with the settings is said where it shows', async (context) => {
  await using slapd = await Slapd.start(temporaryFolder(context), directoryEntries)
  const cases = [
    [{}, 'not the password', /TLS, .*; .*does not take the bind DN/],
    [{}, null, /bind password is not there/],
    [{ groupBase: `ou=nowhere,${suffix}` }, 'the reader’s password', /people,.* is there; .*noSuchObject/],
  ] as const
  for (const [more, password, text] of cases) {
    await using setting = await openDirectoryPlane(directoryConfig(slapd, more), password)
    const { works, steps } = await setting.tryOut('alice')
    assert.deepEqual([works, steps.length], [false, 1])
    assert.match(steps[0]?.text ?? '', text)
  }
})
