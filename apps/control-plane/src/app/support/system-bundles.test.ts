import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { CertificateAuthority } from '@cryptvisor/pki'
import { RestClientError } from '@cryptvisor/rest'
import { filesBelow, formsOf, holdsTrace, temporaryFolder } from '@cryptvisor/testkit'
import { createWork } from '../../create-work.ts'
import { password, startBench } from '../../testing/bench.ts'
import { addProvider } from '../../testing/new-provider.ts'

async function unpack(context: TestContext, bundle: Readable): Promise<{ folder: string; read(name: string): string }> {
  const folder = temporaryFolder(context)
  execFileSync('tar', ['-xzf', '-', '-C', folder], { input: await buffer(bundle) })
  return { folder, read: (name) => readFileSync(join(folder, name), 'utf8') }
}

test('a bundle of the control plane has what its plan says, and is on record before it goes out', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  await admin.createCluster({ name: 'main' })
  const plan = await admin.systemBundlePlan()
  const bundle = await unpack(context, await admin.takeSystemBundle({ sealing: 'recipient' }))
  const names = (await filesBelow(bundle.folder)).map((path) => path.slice(bundle.folder.length + 1))
  assert.deepEqual(names.toSorted(), [...plan.files.map(({ name }) => name), 'manifest.json'].toSorted())
  const manifest = JSON.parse(bundle.read('manifest.json'))
  assert.partialDeepStrictEqual(manifest, { kind: 'control-plane', productVersion: '1.2.3', takenBy: 'admin' })
  for (const { name, cut } of manifest.files) assert.equal(cut, null, `${name}: ${cut}`)
  assert.partialDeepStrictEqual(JSON.parse(bundle.read('database.json')), {
    integrity: ['ok'],
    foreignKeyViolations: 0,
  })
  assert.equal(JSON.parse(bundle.read('database.json')).rowCounts.cluster, 1)
  assert.partialDeepStrictEqual(JSON.parse(bundle.read('audit.json')), { whole: true, problem: null })
  assert.match(JSON.parse(bundle.read('audit.json')).head.hash, /^[0-9a-f]{64}$/)
  assert.match(JSON.parse(bundle.read('system.json')).caFingerprint256, /^[0-9a-f]{64}$/)
  assert.match(bundle.read('settings.json'), /"rootKeyFile"/)
  assert.match(bundle.read('metrics.txt'), /^cryptvisor_build_info/m)
  assert.match(bundle.read('certificates.jsonl'), /authority/)
  // The taking itself is in it: it was recorded first.
  assert.match(bundle.read('events.jsonl'), /support-bundle\.taken.*seals it to the keys of recipients/)
  const [event] = (await admin.events({ type: 'support-bundle.taken' })).events
  assert.equal(event?.user, 'admin')
})

test('whoever leaves before their bundle has begun leaves room for the next', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  const { events } = bench.service.platform
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const record = events.record.bind(events)
  events.record = async (event) => {
    begun.resolve()
    await gate.promise
    await record(event)
  }
  const leaving = new AbortController()
  const left = assert.rejects(admin.takeSystemBundle({ sealing: 'none' }, leaving.signal))
  await begun.promise
  leaving.abort()
  await left
  // Another connection asks and is answered: the server has seen meanwhile that the first is gone.
  await assert.rejects((await bench.logIn()).takeSystemBundle({ sealing: 'none' }), { answerCode: 'too-busy' })
  events.record = record
  gate.resolve()
  for (;;) {
    try {
      await buffer(await admin.takeSystemBundle({ sealing: 'none' }))
      break
    } catch (error) {
      assert.ok(error instanceof RestClientError && error.answerCode === 'too-busy')
    }
  }
})

test('without Global.Diagnostics there is no bundle and no plan of one', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  await admin.createUser({ name: 'kim', password, role: 'ReadOnly' })
  const kim = await bench.logIn('kim')
  await assert.rejects(kim.systemBundlePlan(), { answerCode: 'no-privilege' })
  await assert.rejects(kim.takeSystemBundle({ sealing: 'none' }), { answerCode: 'no-privilege' })
  assert.deepEqual((await admin.events({ type: 'support-bundle.taken' })).events, [])
})

test('no password, token, hash, sealed value, root key or planted key is in it', async (context) => {
  const bench = await startBench(context, createWork)
  const { token } = await bench.client().login({ user: 'admin', password })
  const admin = bench.client(token)
  const { authority } = await CertificateAuthority.create('KMS CA', 10, () => new Date())
  using identity = await authority.issue({ commonName: 'control plane', usages: ['client'], validDays: 10 })
  const clientKey = identity.privateKey.expose((bytes) => Uint8Array.from(bytes))
  await addProvider(admin, {
    name: 'kms',
    servers: [{ host: '127.0.0.1', port: 1 }],
    serverCa: authority.certificate,
    clientCertificate: identity.certificate,
    clientKey,
  })
  await admin.createCluster({ name: 'main' })
  const api = await admin.createToken({ name: 'ci' })
  const enrolment = await admin.createEnrolmentToken({ name: 'host-a', cluster: 'main' })
  const planted = randomBytes(32)
  const rows = await bench.withDatabase(async (database) => {
    const event = {
      type: 'vm.created',
      severity: 'info',
      time: Date.now(),
      host_name: null,
      vm_name: null,
      provider: null,
    }
    const rest = { key_id: null, user_name: null, task_id: null, vm_id: null, host_id: null }
    for (const [index, form] of formsOf(planted).slice(1).entries()) {
      const text = `it failed with ${form} password=${password.replaceAll(' ', '-')}`
      await database
        .insertInto('event')
        .values({ id: 10_000 + index, ...event, ...rest, text })
        .execute()
    }
    return {
      hashes: (await database.selectFrom('user').select('password_hash').execute()).map((row) => row.password_hash),
      tokens: (await database.selectFrom('bearer').select('token_sha256').execute()).map((row) => row.token_sha256),
      sealed: (await database.selectFrom('sealed').select('value').execute()).map((row) => row.value),
      keys: (await database.selectFrom('provider_identity').select('key_sealed').execute()).map(
        (row) => row.key_sealed,
      ),
    }
  })
  bench.logRing.write(
    `{"msg":"the KMS said ${planted.toString('base64')}","token":"${token}","list":[${planted.join()}]}\n`,
  )
  const bundle = await unpack(context, await admin.takeSystemBundle({ sealing: 'none' }))
  const secretTexts = [
    token,
    api.token,
    enrolment.token,
    password,
    password.replaceAll(' ', '-'),
    ...rows.hashes,
    ...rows.tokens,
  ]
  const secretBytes = [planted, readFileSync(bench.rootKeyFile).subarray(0, 32), ...rows.sealed, ...rows.keys]
  for (const path of await filesBelow(bundle.folder)) {
    const bytes = readFileSync(path)
    for (const text of secretTexts) assert.ok(!bytes.includes(text), `${path}: ${text}`)
    for (const secret of secretBytes) assert.ok(!holdsTrace(bytes, secret), path)
    assert.ok(!/PRIVATE KEY/.test(bytes.toString('latin1')), path)
  }
  assert.match(bundle.read('log.jsonl'), /the KMS said \[removed: /)
  assert.match(bundle.read('events.jsonl'), /it failed with \[removed: /)
  // The scan finds what is there: where the planted key is a key's ID, it stays.
  await bench.withDatabase((database) =>
    database
      .insertInto('key')
      .values({
        ...{ provider: 'kms', key_id: planted.toString('hex'), owner_kind: 'vm', owner_id: 'x', owner_name: 'x' },
        ...{ task_id: null, state: 'retired', created_at: 0, retired_at: null },
      })
      .execute(),
  )
  const other = await unpack(context, await admin.takeSystemBundle({ sealing: 'none' }))
  assert.ok(holdsTrace(Buffer.from(other.read('events.jsonl')), planted))
})

test('one that is given up makes room for the next, and a broken database is said in it', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  const first = await admin.takeSystemBundle({ sealing: 'none' })
  first.destroy()
  for (;;) {
    try {
      await buffer(await admin.takeSystemBundle({ sealing: 'none' }))
      break
    } catch (error) {
      assert.match(String(error), /is being made/)
    }
  }
  await bench.withDatabase((database) =>
    database.updateTable('audit').set({ outcome: 'other' }).where('position', '=', 1).execute(),
  )
  const bundle = await unpack(context, await admin.takeSystemBundle({ sealing: 'none' }))
  assert.partialDeepStrictEqual(JSON.parse(bundle.read('audit.json')), { whole: false, badPosition: 1 })
})
