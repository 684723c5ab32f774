import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAccessPlane } from '../testing/access-plane.ts'
import { failuresFree } from './lock-out.ts'
import { sessionMs } from './session-start.ts'

const home = '192.0.2.1'
const newPassword = 'staple horse battery'

test('one’s own password changes for the old one; other sessions end, this one stays', async () => {
  await using plane = await openAccessPlane()
  await plane.addUser('kim', 'ReadOnly')
  const [here, there] = [await plane.logIn('kim'), await plane.logIn('kim')]
  const change = { oldPassword: plane.password, newPassword }
  await plane.logins.changePassword(here, change, home)
  assert.ok((await plane.bearers.refresh(here)) !== null)
  assert.equal(await plane.bearers.refresh(there), null)
  await assert.rejects(plane.logIn('kim'), { code: 'not-logged-in' })
  assert.equal((await plane.logIn('kim', newPassword)).name, 'kim')
  await assert.rejects(plane.logins.changePassword(here, change, home), { field: 'oldPassword' })
})

test('a wrong old password counts as a failed login, and locks out like one', async () => {
  await using plane = await openAccessPlane()
  await plane.addUser('kim')
  const kim = await plane.logIn('kim')
  for (let count = 0; count < failuresFree; count++) {
    const wrong = { oldPassword: 'not the password', newPassword }
    await assert.rejects(plane.logins.changePassword(kim, wrong, home), { code: 'invalid', field: 'oldPassword' })
  }
  const right = { oldPassword: plane.password, newPassword }
  await assert.rejects(plane.logins.changePassword(kim, right, home), { field: 'oldPassword' })
  await assert.rejects(plane.logIn('kim'), { code: 'not-logged-in' })
  plane.pass(30_000)
  await plane.logins.changePassword(kim, right, home)
  const failed = (await plane.events.list({ type: 'user.login-failed', limit: 10 })).map(({ user }) => user)
  assert.deepEqual(new Set(failed), new Set(['kim']))
})

test('an API token does not change the password of its user', async () => {
  await using plane = await openAccessPlane()
  const token = { ...plane.admin, bearer: { ...plane.admin.bearer, kind: 'api-token' as const } }
  const change = { oldPassword: plane.password, newPassword }
  await assert.rejects(plane.logins.changePassword(token, change, home), { code: 'invalid' })
})

test('sessions: one’s own; everybody’s with the privilege; ended at once', async () => {
  await using plane = await openAccessPlane()
  await plane.addUser('kim', 'ReadOnly')
  const kim = await plane.logIn('kim', plane.password, '198.51.100.7')
  const other = await plane.logIn('kim')
  const own = await plane.sessions.list(kim)
  assert.deepEqual(
    own.map(({ user, address, current }) => [user, address, current]),
    [
      ['kim', '198.51.100.7', true],
      ['kim', home, false],
    ],
  )
  assert.equal((await plane.sessions.list(plane.admin)).length, 3)
  await assert.rejects(plane.sessions.end(plane.admin.bearer.id, kim), { code: 'not-found' })
  await plane.sessions.end(other.bearer.id, kim)
  assert.equal(await plane.bearers.refresh(other), null)
  await plane.sessions.endAll('kim', plane.admin)
  assert.equal(await plane.bearers.refresh(kim), null)
  await assert.rejects(plane.sessions.endAll('nobody', plane.admin), { code: 'not-found' })
  plane.pass(sessionMs)
  const late = await plane.logIn('kim')
  assert.deepEqual((await plane.sessions.list(late)).length, 1, 'those that have expired are not listed')
})
