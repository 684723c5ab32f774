import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { password, startBench } from '../testing/bench.ts'

test('a user logs in, is who they are, and logs out', async (context) => {
  const bench = await startBench(context)
  const anonymous = bench.client()
  await assert.rejects(anonymous.login({ user: 'admin', password: 'not the password' }), {
    status: 401,
    answerCode: 'not-logged-in',
  })
  const { token, user } = await anonymous.login({ user: 'admin', password })
  assert.equal(user, 'admin')
  const client = bench.client(token)
  const me = await client.me()
  assert.deepEqual([me.name, me.role, me.privileges.includes('Cryptographer.Decrypt')], ['admin', 'Admin', true])
  await client.logout()
  await assert.rejects(client.me(), { status: 401 })
  await assert.rejects(anonymous.me(), { status: 401 })
})

test('users, roles and tokens over HTTP', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await assert.rejects(admin.createUser({ name: 'ops', password: 'short', role: 'Admin' }), {
    status: 400,
    field: 'password',
  })
  await admin.createRole({ name: 'keeper', privileges: ['System.Read', 'Cryptographer.ManageKeyServers'] })
  assert.equal((await admin.createUser({ name: 'ops', password, role: 'keeper' })).role, 'keeper')
  const ops = await bench.logIn('ops')
  await assert.rejects(ops.createUser({ name: 'x', password, role: 'ReadOnly' }), {
    status: 403,
    answerCode: 'no-privilege',
    message: /Authorization\.ModifyPermissions/,
  })
  const { token, info } = await ops.createToken({ name: 'ci' })
  assert.equal((await bench.client(token).me()).name, 'ops')
  assert.equal((await admin.tokens()).tokens.length, 1)
  await admin.deleteToken(info.id)
  await assert.rejects(bench.client(token).me(), { status: 401 })
  await admin.changeUser('ops', { role: 'ReadOnly' })
  await admin.deleteRole('keeper')
  await admin.deleteUser('ops')
  await assert.rejects(ops.me(), { status: 401 })
  assert.deepEqual(
    (await admin.users()).users.map((user) => user.name),
    ['admin'],
  )
  assert.equal((await admin.roles()).roles.length, 5)
})

test('clusters, datastores and policies over HTTP', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const cluster = await admin.createCluster({ name: 'Zürich 1' })
  assert.deepEqual(await admin.clusters(), { clusters: [cluster] })
  await assert.rejects(admin.createCluster({ name: 'Zürich 1' }), { status: 409, field: 'name' })
  const datastore = await admin.createDatastore({ name: 'nfs', cluster: 'Zürich 1', path: '/srv/vms' })
  assert.deepEqual(await admin.datastores(), { datastores: [datastore] })
  for (const path of ['/srv/../etc', '/srv/vms/', '/srv//vms', '//', '/srv/./vms', '/a\nb']) {
    await assert.rejects(admin.createDatastore({ name: 'bad', cluster: 'Zürich 1', path }), {
      status: 400,
      field: 'path',
    })
  }
  await assert.rejects(admin.createDatastore({ name: 'other', cluster: 'Zürich 1', path: '/srv/vms' }), { status: 409 })
  await assert.rejects(admin.createDatastore({ name: 'other', cluster: 'none', path: '/a' }), {
    status: 404,
    field: 'cluster',
  })
  await assert.rejects(admin.deleteCluster('Zürich 1'), { status: 409, answerCode: 'in-use', message: /nfs/ })
  await admin.deleteDatastore('nfs')
  await admin.deleteCluster('Zürich 1')
  await assert.rejects(admin.deleteCluster('Zürich 1'), { status: 404 })
  assert.deepEqual(
    (await admin.policies()).policies.map(({ name, encryption }) => [name, encryption]),
    [
      ['Datastore Default', false],
      ['VM Encryption Policy', true],
    ],
  )
})

test('bodies are strict and errors name the field', async (context) => {
  const bench = await startBench(context)
  const { token } = await bench.client().login({ user: 'admin', password })
  const rest = bench.rest({ bearerToken: token })
  const post = (json: unknown) => rest.call({ method: 'POST', path: '/api/v1/clusters', json })
  await assert.rejects(post({ name: 'a', colour: 'red' }), { status: 400, field: 'colour' })
  await assert.rejects(post({ name: 7 }), { status: 400, field: 'name' })
  await assert.rejects(post({}), { status: 400, field: 'name' })
  await assert.rejects(rest.call({ method: 'GET', path: '/api/v1/events', query: { limit: 'many' } }), {
    status: 400,
    field: 'limit',
  })
  await assert.rejects(rest.call({ method: 'GET', path: '/api/v1/nothing' }), {
    status: 404,
    answerCode: 'no-such-route',
  })
  assert.deepEqual(await bench.rest().call({ method: 'GET', path: '/livez' }), { status: 'ok' })
  assert.deepEqual(await bench.rest().call({ method: 'GET', path: '/readyz' }), { status: 'ok' })
})

async function collect(stream: AsyncIterable<{ text: string }>, seen: string[]): Promise<void> {
  for await (const event of stream) seen.push(event.text)
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5)
}

test('events are listed with filters and streamed as they happen; the stream ends with the session', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { events } = bench.service.platform
  const first = (await admin.events({ limit: 1 })).events[0]
  assert.equal(first?.type, 'user.login')
  await events.record({ type: 'vm.crypto.rekeyed', vm: 'web', text: 'one' })
  assert.deepEqual(
    (await admin.events({ vm: 'web' })).events.map((event) => event.text),
    ['one'],
  )
  assert.deepEqual(
    (await admin.events({ after: first.id, limit: 5 })).events.map((event) => event.text),
    ['one'],
  )
  const stop = new AbortController()
  const seen: string[] = []
  const following = collect(admin.eventStream(stop.signal), seen)
  // The stream has begun when it gives something; what happens before may be missed.
  while (seen.length === 0) {
    await events.record({ type: 'vm.crypto.rekeyed', vm: 'web', text: 'ping' })
    await sleep(5)
  }
  await events.record({ type: 'vm.crypto.rekeyed', vm: 'web', text: 'two' })
  await until(() => seen.includes('two'))
  assert.ok(seen.slice(0, -1).every((text) => text === 'ping'))
  await admin.logout()
  await events.record({ type: 'vm.crypto.rekeyed', vm: 'web', text: 'not for somebody who is logged out' })
  await following
  assert.equal(seen.at(-1), 'two')
})

test('a stream resumes after the last event that was seen', async (context) => {
  const bench = await startBench(context)
  const { token } = await bench.client().login({ user: 'admin', password })
  const { events } = bench.service.platform
  for (const text of ['a', 'b', 'c']) await events.record({ type: 'vm.created', text })
  const [, b] = (await events.list({ type: 'vm.created', limit: 3 })).toReversed()
  const response = await fetchStream(bench.service.url, bench.ca, token, String(b?.id))
  assert.match(response, new RegExp(`^: listening\\n\\nid: ${(b?.id ?? 0) + 1}\\ndata: \\{.*"text":"c".*\\}\\n\\n$`))
})

test('a stop ends streams that are open', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const seen: string[] = []
  const following = collect(admin.eventStream(new AbortController().signal), seen).catch(() => seen.push('cut'))
  while (seen.length === 0) {
    await bench.service.platform.events.record({ type: 'vm.created', text: 'ping' })
    await sleep(5)
  }
  await bench.restart()
  await following
  assert.equal((await admin.me()).name, 'admin')
  assert.match(bench.logged(), /"user":"admin","method":"GET","route":"\/api\/v1\/me","status":200/)
})

/** Reads a stream, with a header that our client does not send, until it gave an event. */
async function fetchStream(url: string, ca: string, token: string, lastEventId: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': lastEventId }
  const request = get(`${url}/api/v1/events/stream`, { ca, headers })
  const answer = await new Promise<IncomingMessage>((resolve, reject) =>
    request.on('response', resolve).on('error', reject),
  )
  assert.equal(answer.statusCode, 200)
  assert.equal(answer.headers['content-type'], 'text/event-stream')
  let text = ''
  for await (const chunk of answer) {
    text += String(chunk)
    if (text.includes('data:') && text.endsWith('\n\n')) break
  }
  return text
}
