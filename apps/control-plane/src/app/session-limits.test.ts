import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAccessPlane } from '../testing/access-plane.ts'
import { Bearers } from './bearers.ts'
import { sessionMs } from './session-start.ts'
import { Tokens } from './tokens.ts'
import { UserSessions } from './user-sessions.ts'

const minuteMs = 60_000
const home = '192.0.2.1'

test('a session that nobody uses for an hour is over and says so; use keeps it, for twelve hours at most', async () => {
  await using plane = await openAccessPlane()
  await plane.addUser('kim', 'ReadOnly')
  const { token } = await plane.logins.logIn('kim', plane.password, home)
  const used = async () => (await plane.bearers.authenticate(token)) !== null
  for (let minutes = 0; minutes < 11 * 60; minutes += 59) {
    assert.ok(await used(), `after ${minutes} minutes`)
    plane.pass(59 * minuteMs)
  }
  plane.pass(3 * minuteMs)
  const idle = { code: 'not-logged-in', message: /nobody used this session for 60 minutes.*log in again/ }
  await assert.rejects(plane.bearers.authenticate(token), idle)
  await assert.rejects(plane.bearers.authenticate(token), idle, 'asking is no use of it')
  const again = await plane.logIn('kim')
  assert.equal((await plane.sessions.list(again)).length, 1, 'one that is over is not listed')
  const { token: busy } = await plane.logins.logIn('kim', plane.password, home)
  for (let passedMs = 0; passedMs < sessionMs; passedMs += 30 * minuteMs) {
    assert.ok((await plane.bearers.authenticate(busy)) !== null)
    plane.pass(30 * minuteMs)
  }
  assert.equal(await plane.bearers.authenticate(busy), null)
})

test('use is written once a minute, however many requests there are at once', async () => {
  await using plane = await openAccessPlane()
  const { token } = await plane.logins.logIn('admin', plane.password, home)
  const { database } = plane
  let writeCount = 0
  const counting = database.withPlugin({
    transformQuery: ({ node }) => {
      if (node.kind === 'UpdateQueryNode') writeCount++
      return node
    },
    transformResult: async ({ result }) => {
      if (result.numAffectedRows === 0n) writeCount--
      return result
    },
  })
  const bearers = new Bearers(counting, plane.now)
  for (let second = 0; second < 180; second += 10) {
    await Promise.all([1, 2, 3].map(() => bearers.authenticate(token)))
    plane.pass(10_000)
  }
  assert.equal(writeCount, 3)
})

test('the limit is a setting; API tokens have none', async () => {
  await using plane = await openAccessPlane()
  const limits = { idleMs: 5 * minuteMs }
  const bearers = new Bearers(plane.database, plane.now, limits)
  const { token } = await plane.logins.logIn('admin', plane.password, home)
  const caller = await bearers.authenticate(token)
  assert.ok(caller !== null)
  const sessions = new UserSessions(plane.database, plane.events, plane.now, limits)
  const expiresAt = '2026-11-25T00:00:00.000Z'
  assert.deepEqual(await sessions.current(caller), { kind: 'session', expiresAt, idleMinutes: 5 })
  const tokens = new Tokens(plane.database, plane.events, bearers, plane.now)
  const api = await tokens.create({ name: 'ci' }, caller)
  plane.pass(6 * minuteMs)
  assert.equal(await bearers.refresh(caller), null)
  await assert.rejects(bearers.authenticate(token), { message: /for 5 minutes/ })
  const program = await bearers.authenticate(api.token)
  assert.ok(program !== null)
  assert.deepEqual(await sessions.current(program), { kind: 'api-token', expiresAt: null, idleMinutes: null })
})
