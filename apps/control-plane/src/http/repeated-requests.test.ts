import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWork } from '../create-work.ts'
import { type Answer, ask } from '../testing/ask.ts'
import { type Bench, password, startBench } from '../testing/bench.ts'

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly parameters?: readonly object[] }>>>>
}

/** Changing routes without a dry run, and why they have none. */
const withoutDryRun: Readonly<Record<string, string>> = {
  'PUT /api/v1/notifications/{name}/secret': 'takes a secret',
  'POST /api/v1/hosts/{name}/dumps/{dump}/open': 'answers with bytes',
  'PUT /api/v1/identity-sources/{name}/secret': 'takes a secret',
  'POST /api/v1/hosts/{name}/support-bundle': 'answers with bytes; the GET says what would be in',
  'POST /api/v1/hosts/{name}/support-bundle/open': 'its answer is a secret',
  'POST /api/v1/system/support-bundle': 'answers with bytes; the GET says what would be in',
  'POST /api/v1/login': 'is no change',
  'POST /api/v1/login/device': 'is no change',
  'POST /api/v1/login/device/finish': 'is no change',
  'POST /api/v1/login/oidc': 'is no change',
  'POST /api/v1/login/oidc/finish': 'is no change',
  'POST /api/v1/logout': 'is no change',
  'POST /api/v1/identity-sources/{name}/test': 'is no change',
  'POST /api/v1/identity-sources/{name}/recheck': 'asks a directory, as is done by itself',
  'POST /api/v1/tokens': 'its answer is a secret',
  'POST /api/v1/hosts/enrolment-tokens': 'its answer is a secret',
  'POST /api/v1/me/password': 'takes secrets',
  'POST /api/v1/me/second-factor': 'its answer is a secret',
  'POST /api/v1/me/second-factor/confirm': 'takes and gives secrets',
  'POST /api/v1/me/second-factor/disable': 'takes a secret',
  'PUT /api/v1/tasks/{id}/content': 'takes bytes',
  'PUT /api/v1/tasks/{id}/passphrase': 'takes a secret',
  'POST /api/v1/vms/{vm}/disks/{number}/export': 'answers with bytes',
  'POST /api/v1/vms/{vm}/disks/{number}/header-backup': 'answers with bytes',
  'POST /api/v1/hosts/{name}/machines/{vm}/stop': 'asks the host',
  'POST /api/v1/vms/{vm}/unlock': 'asks key servers and hosts, and changes nothing that lasts',
  'POST /api/v1/tasks/{id}/pause': 'asks the host',
  'POST /api/v1/tasks/{id}/resume': 'asks the host',
  'PUT /api/v1/tasks/{id}/speed': 'asks the host',
  'POST /api/v1/key-health/verify': 'reads keys back, which changes nothing that lasts',
  'POST /api/v1/keys/{provider}/{keyId}/verify': 'as /key-health/verify',
  'POST /api/v1/system/backup': 'answers with bytes, and changes nothing',
  'POST /api/v1/campaign-previews': 'is a preview itself',
  'PUT /api/v1/key-providers/{name}/client-key': 'takes a secret',
  'POST /api/v1/key-providers/{name}/wrapping-key': 'has the provider make a key',
  'POST /api/v1/native-key-providers/{name}/backup': 'answers with bytes',
  'POST /api/v1/native-key-provider-restores': 'takes a secret, which waits and changes nothing',
  'POST /api/v1/native-key-provider-restores/{id}': 'takes a secret',
}

/** Sends requests as one user. */
async function sender(bench: Bench) {
  const { token } = await bench.client().login({ user: 'admin', password })
  return (method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    ask(bench.service.url, bench.ca, {
      method,
      path: `/api/v1${path}`,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    })
}

test('every changing route has a dry run, or is on a list with its reason and refuses one', async (context) => {
  const bench = await startBench(context, createWork)
  const send = await sender(bench)
  const document = (await ask(bench.service.url, bench.ca, { method: 'GET', path: '/openapi.json' })).body as Document
  const missing: string[] = []
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [verb, { parameters = [] }] of Object.entries(operations)) {
      const name = `${verb.toUpperCase()} ${path}`
      if (verb === 'get') continue
      const has = parameters.some((parameter) => 'name' in parameter && parameter.name === 'dryRun')
      if (has) {
        assert.ok(!(name in withoutDryRun), `${name} has a dry run: take it off the list`)
        continue
      }
      if (!(name in withoutDryRun)) missing.push(name)
      if (name.includes('/login') || name.includes('/logout')) continue
      const url = `${path.replace('/api/v1', '').replaceAll(/\{[^}]+\}/g, 'example')}?dryRun=true`
      const { status } = await send(verb.toUpperCase(), url, null)
      assert.ok(status >= 400 && status < 500, `${name} answers ${status} to a dry run that it does not have`)
    }
  }
  assert.deepEqual(missing, [], 'they have no dry run: say why in `withoutDryRun`, or declare `rehearse`')
})

test('a dry run says what would happen, and nothing does', async (context) => {
  const bench = await startBench(context, createWork)
  const send = await sender(bench)
  const { status, body } = await send('POST', '/clusters?dryRun=true', { name: 'alpha' })
  assert.equal(status, 200)
  const rehearsal = body as { dryRun: boolean; answer: { name: string } }
  assert.equal(rehearsal.dryRun, true)
  assert.equal(rehearsal.answer.name, 'alpha')
  const admin = await bench.logIn()
  assert.deepEqual(await admin.clusters(), { clusters: [] })
  const role = await send('POST', '/roles?dryRun=true', { name: 'ops', privileges: ['System.Read'] })
  assert.match(JSON.stringify(role.body), /"kind":"event".*role ops was made/)
  assert.ok(!(await admin.roles()).roles.some(({ name }) => name === 'ops'))
  // A removal answers with nothing; its dry run with what it would do.
  await send('POST', '/clusters', { name: 'beta' })
  const removal = await send('DELETE', '/clusters/beta?dryRun=true', null)
  assert.equal(removal.status, 200)
  assert.deepEqual(
    (await admin.clusters()).clusters.map(({ name }) => name),
    ['beta'],
  )
})

test('what a dry run refuses it refuses as the request itself would', async (context) => {
  const bench = await startBench(context, createWork)
  const send = await sender(bench)
  const wrong = { name: 'ops', privileges: ['System.Rule'] }
  const rehearsed = await send('POST', '/roles?dryRun=true', wrong)
  const real = await send('POST', '/roles', wrong)
  assert.deepEqual([rehearsed.status, rehearsed.body], [real.status, real.body])
  assert.equal((await send('POST', '/clusters?dryRun=perhaps', { name: 'alpha' })).status, 400)
})

test('a request that is sent again is answered again, and not done again', async (context) => {
  const bench = await startBench(context, createWork)
  const send = await sender(bench)
  const key = { 'idempotency-key': 'a-1' }
  const first = await send('POST', '/clusters', { name: 'alpha' }, key)
  const again = await send('POST', '/clusters', { name: 'alpha' }, key)
  assert.deepEqual([again.status, again.body], [first.status, first.body])
  assert.equal(first.status, 201)
  assert.equal(again.headers['idempotency-replayed'], 'true')
  assert.equal(
    (await send('POST', '/clusters', { name: 'alpha' })).status,
    409,
    'without its key it is another request',
  )
  const other = await send('POST', '/clusters', { name: 'beta' }, key)
  assert.equal(other.status, 400, 'a key is for one request')
  const removed = await send('DELETE', '/clusters/alpha', null, { 'idempotency-key': 'a-2' })
  const removedAgain = await send('DELETE', '/clusters/alpha', null, { 'idempotency-key': 'a-2' })
  assert.deepEqual([removed.status, removedAgain.status], [204, 204])
  await bench.restart()
  const later = await sender(bench)
  assert.equal((await later('POST', '/clusters', { name: 'alpha' }, key)).status, 201, 'a restart forgets nothing')
  bench.pass(86_400_001)
  assert.equal((await (await sender(bench))('POST', '/clusters', { name: 'alpha' }, key)).status, 201)
})

test('a request that was refused is looked at anew; one with a secret takes no key', async (context) => {
  const bench = await startBench(context, createWork)
  const send = await sender(bench)
  const key = { 'idempotency-key': 'b-1' }
  assert.equal((await send('DELETE', '/clusters/alpha', null, key)).status, 404)
  await send('POST', '/clusters', { name: 'alpha' })
  assert.equal((await send('DELETE', '/clusters/alpha', null, key)).status, 204)
  const user = { name: 'kim', password, role: 'ReadOnly' }
  assert.equal((await send('POST', '/users', user, key)).status, 400)
  assert.equal((await send('POST', '/clusters', { name: 'x' }, { 'idempotency-key': 'with blank' })).status, 400)
})
