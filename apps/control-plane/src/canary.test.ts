import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Barrier, readRootKeyFile } from '@cryptvisor/key-store'
import { CertificateAuthority } from '@cryptvisor/pki'
import { filesWithTrace, holdsTrace } from '@cryptvisor/testkit'
import { contextOf, sealedName } from './app/certificates.ts'
import { SealedTable } from './database/sealed-table.ts'
import { type Bench, password, startBench } from './testing/bench.ts'
import { addProvider, sendClientKey } from './testing/new-provider.ts'
import { dial, enrolAgent } from './testing/test-agent.ts'

/** The scalar of a P-256 private key: its 32 secret bytes, whatever they are wrapped in. */
function scalarOf(pem: string): Buffer {
  const { d } = createPrivateKey(pem).export({ format: 'jwk' })
  assert.ok(d !== undefined)
  return Buffer.from(d, 'base64url')
}

/** The authority's private key, PEM, opened with the root key as the program does. */
async function authorityKey(bench: Bench): Promise<string> {
  return bench.withDatabase(async (database) => {
    using rootKey = await readRootKeyFile(bench.rootKeyFile)
    using barrier = await Barrier.open(new SealedTable(database), rootKey)
    const { value } = await database
      .selectFrom('sealed')
      .select('value')
      .where('name', '=', sealedName)
      .executeTakeFirstOrThrow()
    using key = barrier.unseal(contextOf(bench.ca), value)
    return key.expose((bytes) => Buffer.from(bytes).toString('latin1'))
  })
}

test('no password, token or private key lies in the data folder, in the log or in an answer', async (context) => {
  const bench = await startBench(context)
  const { token } = await bench.client().login({ user: 'admin', password })
  const admin = bench.client(token)
  const { authority } = await CertificateAuthority.create('KMS CA', 10, () => new Date())
  using identity = await authority.issue({ commonName: 'control plane', usages: ['client'], validDays: 10 })
  const clientKeyBytes = identity.privateKey.expose((bytes) => Uint8Array.from(bytes))
  const clientKey = Buffer.from(clientKeyBytes).toString('latin1')
  const provider = {
    name: 'kms',
    servers: [{ host: '127.0.0.1', port: 1 }],
    serverCa: authority.certificate + clientKey,
    clientCertificate: clientKey + identity.certificate,
  }
  await sendClientKey(admin, 'waits', clientKeyBytes)
  await addProvider(admin, { ...provider, clientKey: clientKeyBytes })
  await admin.keyProviderStatus('kms')
  const api = await admin.createToken({ name: 'ci' })
  const other = 'a second long password'
  await admin.createUser({ name: 'ops', password: other, role: 'ReadOnly' })
  await admin.createCluster({ name: 'cluster' })
  const enrolment = await admin.createEnrolmentToken({ name: 'host-a', cluster: 'cluster' })
  // The token is of our own making.
  const { secret } = JSON.parse(Buffer.from(enrolment.token, 'base64url').toString()) as { secret: string }
  const session = await dial(await enrolAgent(enrolment.token, 'https://127.0.0.1:7443'))
  // What is refused may not be repeated either: in the wrong place, misspelled, too much.
  const mistakes = [
    bench.client().login({ user: other, password }),
    bench.client().login({ user: 'admin', password: `${other}!` }),
    bench.client(`${token}x`).me(),
    bench.rest({ bearerToken: token }).call({ method: 'GET', path: `/api/v1/hosts/${encodeURIComponent(api.token)}` }),
    bench.rest({ bearerToken: token }).call({ method: 'GET', path: '/api/v1/events', query: { token: api.token } }),
    admin.addKeyProvider({ ...provider, name: 'second', serverCa: clientKey }),
    sendClientKey(admin, 'second', Buffer.from(clientKey.replace('BEGIN', 'BEGUN'))),
    bench.rest({ bearerToken: token }).call({
      method: 'POST',
      path: '/api/v1/key-providers',
      json: { ...provider, clientKey },
    }),
    bench.rest({ bearerToken: token }).call({
      method: 'PUT',
      path: '/api/v1/key-providers/second/client-key',
      json: clientKey,
    }),
    admin.addKeyProvider({ ...provider, name: clientKey.slice(0, 64) }),
    bench.rest({ bearerToken: token }).call({ method: 'POST', path: '/api/v1/users', json: { password: other } }),
  ]
  for (const { status } of await Promise.allSettled(mistakes)) assert.equal(status, 'rejected')

  const secrets: readonly (readonly [string, Buffer])[] = [
    ['the administrator’s password', Buffer.from(password)],
    ['a user’s password', Buffer.from(other)],
    ['the session’s token', Buffer.from(token)],
    ['the API token', Buffer.from(api.token)],
    ['its random part', Buffer.from(api.token.slice(4), 'base64url')],
    ['the enrolment secret', Buffer.from(secret)],
    ['its random bytes', Buffer.from(secret, 'base64url')],
    ['the client key’s PEM', Buffer.from(clientKey.split('\n').slice(1, -2).join('\n'))],
    ...clientKey
      .split('\n')
      .slice(1, -2)
      .map((line, index) => [`line ${index} of the client key’s PEM`, Buffer.from(line)] as const),
    ['the client key’s scalar', scalarOf(clientKey)],
    ['the authority’s scalar', scalarOf(await authorityKey(bench))],
    ['the root key', readFileSync(bench.rootKeyFile)],
  ]
  const look = async () => {
    const lists = [admin.keyProviders(), admin.events({ limit: 1000 }), admin.users(), admin.tokens(), admin.hosts()]
    const answers = Buffer.from(JSON.stringify(await Promise.all<unknown>(lists)))
    for (const [name, bytes] of secrets) {
      assert.deepEqual(await filesWithTrace(bench.folder, bytes), [], name)
      assert.ok(!holdsTrace(Buffer.from(bench.logged()), bytes), `${name} is in the log`)
      assert.ok(!holdsTrace(answers, bytes), `${name} is in an answer`)
    }
  }
  await look()
  session.hangUp()
  await session.ended
  await bench.restart()
  await look()

  assert.match(bench.logged(), /answered/)
  for (const [name, bytes] of secrets) {
    const planted = join(bench.folder, 'planted')
    writeFileSync(planted, Buffer.concat([Buffer.from('x'), Buffer.from(bytes.toString('base64'))]))
    assert.deepEqual(await filesWithTrace(bench.folder, bytes), [planted], `${name} would be found`)
  }
})
