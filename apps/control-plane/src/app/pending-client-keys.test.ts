import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientKeySizeMax } from '@cryptvisor/control-plane-api'
import { ask } from '../testing/ask.ts'
import { password, startBench } from '../testing/bench.ts'
import { addProvider, sendClientKey, unreachableProvider } from '../testing/new-provider.ts'
import { pendingClientKeyMs, pendingClientKeysMax } from './pending-client-keys.ts'

const waitingIn = (bench: Awaited<ReturnType<typeof startBench>>) =>
  bench.withDatabase(async (database) => {
    const waiting = database.selectFrom('sealed').select('name').where('expires_at', 'is not', null)
    return (await waiting.orderBy('name').execute()).map(({ name }) => name)
  })

test('a provider is added with the client key that was sent last for it, and with no other', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { clientKey, ...kms } = await unreachableProvider('kms')
  const other = await unreachableProvider('other')
  await assert.rejects(admin.addKeyProvider(kms), {
    status: 400,
    field: 'clientKey',
    message: /send the client key first: PUT \/api\/v1\/key-providers\/kms\/client-key/,
  })
  await sendClientKey(admin, 'other', clientKey)
  await assert.rejects(admin.addKeyProvider(kms), { field: 'clientKey' }, 'a key for another provider')
  await sendClientKey(admin, 'kms', other.clientKey)
  await assert.rejects(admin.addKeyProvider(kms), { status: 400, field: 'clientKey', message: /client certificate/ })
  assert.deepEqual(await waitingIn(bench), ['pending-client-key/kms', 'pending-client-key/other'])
  await sendClientKey(admin, 'kms', clientKey)
  await bench.restart()
  const again = await bench.logIn()
  assert.equal((await again.addKeyProvider(kms)).name, 'kms')
  assert.deepEqual(await waitingIn(bench), ['pending-client-key/other'], 'it was taken out')
  await sendClientKey(again, 'kms', clientKey)
  await assert.rejects(again.addKeyProvider(kms), { status: 409, field: 'name' })
  assert.deepEqual(await waitingIn(bench), ['pending-client-key/kms', 'pending-client-key/other'], 'it waits on')
})

test('a client key waits for an hour, and then it is gone', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { clientKey, ...kms } = await unreachableProvider('kms')
  const other = await unreachableProvider('other')
  await sendClientKey(admin, 'kms', clientKey)
  bench.pass(pendingClientKeyMs - 60_000)
  await addProvider(admin, other)
  assert.deepEqual(await waitingIn(bench), ['pending-client-key/kms'])
  bench.pass(60_000)
  await assert.rejects(admin.addKeyProvider(kms), { status: 400, field: 'clientKey' })
  await addProvider(admin, { ...other, name: 'another' })
  assert.deepEqual(await waitingIn(bench), [], 'the next one who sends or adds has it forgotten')
  await sendClientKey(admin, 'kms', clientKey)
  bench.pass(pendingClientKeyMs)
  await bench.restart()
  assert.deepEqual(await waitingIn(bench), [], 'a start forgets it, whoever asks for it')
})

test('so many client keys wait and no more, and one can always be replaced', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const provider = await unreachableProvider('last')
  for (let index = 0; index < pendingClientKeysMax; index++) {
    await sendClientKey(admin, `kms-${index}`, provider.clientKey)
  }
  await assert.rejects(sendClientKey(admin, 'last', provider.clientKey), { status: 429, answerCode: 'too-busy' })
  await sendClientKey(admin, 'kms-0', provider.clientKey)
  await addProvider(admin, { ...provider, name: 'kms-0' })
  await addProvider(admin, provider)
})

test('whoever writes the database can neither keep a client key for longer nor move it', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { clientKey, ...kms } = await unreachableProvider('kms')
  for (const change of [{ expires_at: Date.now() + 10 * pendingClientKeyMs }, { name: 'pending-client-key/moved' }]) {
    await sendClientKey(admin, 'kms', clientKey)
    await bench.withDatabase((database) =>
      database.updateTable('sealed').set(change).where('name', '=', 'pending-client-key/kms').execute(),
    )
    await assert.rejects(admin.addKeyProvider({ ...kms, name: 'name' in change ? 'moved' : 'kms' }), { status: 500 })
  }
  assert.match(bench.logged(), /value-damaged/)
  assert.deepEqual(await admin.keyProviders(), { providers: [] })
})

test('a client key is bytes of a size that keys have, of a type that is no text, for a name that providers have', async (context) => {
  const bench = await startBench(context)
  const { token } = await bench.client().login({ user: 'admin', password })
  const { clientKey } = await unreachableProvider('kms')
  const good = { method: 'PUT', path: '/api/v1/key-providers/kms/client-key', type: 'application/octet-stream' }
  const call = ({ path, type, body }: { path?: string; type?: string; body?: Uint8Array }) =>
    ask(bench.service.url, bench.ca, {
      method: good.method,
      path: path ?? good.path,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': type ?? good.type,
        ...(body === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(body.length) }),
      },
      body: body ?? clientKey,
    })
  for (const [change, status, field] of [
    [{}, 400, 'content-length'],
    [{ body: new Uint8Array(0) }, 400, 'content-length'],
    [{ body: Buffer.alloc(clientKeySizeMax + 1, 'A') }, 413, 'content-length'],
    [{ body: Buffer.alloc(clientKeySizeMax, 'A') }, 400, 'clientKey'],
    [{ body: Buffer.from(JSON.stringify('x')), type: 'application/json' }, 415, 'content-type'],
    [{ body: clientKey, type: 'application/x-pem-file' }, 415, 'content-type'],
    [{ body: clientKey, path: '/api/v1/key-providers/with%2Fslash/client-key' }, 400, 'name'],
    [{ body: clientKey, path: `/api/v1/key-providers/${'n'.repeat(65)}/client-key` }, 400, 'name'],
  ] as const) {
    const answer = await call(change)
    // Our errors have this shape.
    const { error } = answer.body as { error: { field: string } }
    assert.deepEqual([answer.status, error.field], [status, field], JSON.stringify(Object.keys(change)))
  }
  assert.deepEqual(await waitingIn(bench), [])
  assert.equal((await call({ body: clientKey })).status, 204)
  assert.deepEqual(await waitingIn(bench), ['pending-client-key/kms'])
})
