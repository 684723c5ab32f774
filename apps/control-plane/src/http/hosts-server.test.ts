import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { controlPlaneUri, epochUri } from '@cryptvisor/host-agent-api'
import { CertificateAuthority, createRequest } from '@cryptvisor/pki'
import { RestClient } from '@cryptvisor/rest'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import { ask } from '../testing/ask.ts'
import { type Bench, password, startBench } from '../testing/bench.ts'
import { dial, enrolAgent, startAgent } from '../testing/test-agent.ts'

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}

const eventTexts = async (bench: Bench, type: string) =>
  (await bench.service.platform.events.list({ type, limit: 100 })).map((event) => event.text)

async function tokenFor(admin: ControlPlaneClient, name: string): Promise<string> {
  const { clusters } = await admin.clusters()
  if (clusters.length === 0) await admin.createCluster({ name: 'cluster' })
  return (await admin.createEnrolmentToken({ name, cluster: 'cluster' })).token
}

test('a host enrols, connects, is called under our identity, and disconnects the moment its connection closes', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await using agent = await startAgent(await tokenFor(admin, 'host-a'))
  const { answer } = agent.enrolled
  assert.equal(answer.name, 'host-a')
  assert.ok(new X509Certificate(answer.certificate).verify(new X509Certificate(answer.ca).publicKey))
  const before = await admin.host('host-a')
  assert.deepEqual(
    [before.connection, before.cryptoState, before.cluster, before.lastSeenAt],
    ['disconnected', 'incapable', 'cluster', null],
  )
  const waited = bench.service.platform.sessions.waitFor(answer.hostId, AbortSignal.timeout(10_000))
  const session = await dial(agent.enrolled)
  assert.equal(session.heartbeat, '{"heartbeat":0,"epoch":1}')
  assert.equal((await waited).bootId, 'boot-1')
  await (await waited).client.host()
  assert.deepEqual(agent.callers, [controlPlaneUri, epochUri(1)])
  const during = await admin.host(answer.hostId)
  assert.deepEqual([during.connection, during.cryptoState, during.version], ['connected', 'prepared', '0.1.0'])
  assert.deepEqual(await admin.hosts(), { hosts: [await admin.host('host-a')] })
  session.hangUp()
  await until(async () => (await admin.host('host-a')).connection === 'disconnected')
  await until(() => bench.work.told.includes('disconnected host-a'))
  assert.deepEqual(bench.work.told, ['start', 'connected host-a boot-1', 'disconnected host-a'])
  assert.deepEqual(await eventTexts(bench, 'host.disconnected'), ['host-a disconnected: its connection closed'])
  assert.equal((await eventTexts(bench, 'host.connected')).length, 1)
  await assert.rejects((await waited).client.host(), { name: 'RestClientError' })
})

test('a host says how its machines are in a session of that start of its agent, and nobody else does', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await using agent = await startAgent(await tokenFor(admin, 'host-a'))
  const { answer, hostsUrl, privateKey } = agent.enrolled
  const own = { url: hostsUrl, ca: answer.ca, identity: { certificate: answer.certificate, privateKey } }
  await using client = new RestClient(own)
  const report = (bootId: string, machines: readonly object[] = [], by = client) =>
    by.call({ method: 'POST', path: '/v1/machines', json: { bootId, machines } })
  await assert.rejects(report('boot-1'), { status: 503 }, 'it has no session')
  const session = await dial(agent.enrolled)
  await report('boot-1')
  assert.ok(bench.work.told.includes('host-a has 0 machines'))
  await assert.rejects(report('boot-0'), { status: 503 }, 'another start of the agent')
  await assert.rejects(report('boot-1', [{ vmId: 'web' }]), { status: 400 })
  await using stranger = new RestClient({ url: hostsUrl, ca: answer.ca })
  await assert.rejects(report('boot-1', [], stranger), { status: 401 })
  session.hangUp()
})

test('a control plane that a host knows to be replaced says so, is not ready, and gets no session of that host', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await using agent = await startAgent(await tokenFor(admin, 'host-a'))
  for (let round = 0; round < 2; round++) {
    await assert.rejects(dial(agent.enrolled, { epoch: 2 }), { status: 400, message: /set-control-plane/ })
  }
  assert.equal((await eventTexts(bench, 'system.superseded')).length, 1)
  assert.equal((await admin.host('host-a')).connection, 'disconnected')
  const { checks } = await admin.system()
  assert.deepEqual(
    checks.filter(({ ok }) => !ok).map(({ name }) => name),
    ['epoch'],
  )
  assert.equal((await ask(bench.service.url, bench.ca, { method: 'GET', path: '/readyz' })).status, 503)
  const session = await dial(agent.enrolled, { epoch: 1 })
  session.hangUp()
})

test('an enrolment token works once, for its host, with a good request', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await assert.rejects(admin.createEnrolmentToken({ name: 'host-a', cluster: 'none' }), {
    status: 404,
    field: 'cluster',
  })
  const token = await tokenFor(admin, 'host-a')
  const url = 'https://127.0.0.1:7443'
  for (const [change, field] of [
    [{ csr: 'nothing' }, 'csr'],
    [{ csr: (await createRequest('x')).csr.replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA') }, 'csr'],
    [{ hardwareUuid: 'not a UUID' }, 'hardwareUuid'],
    [{ url: 'http://127.0.0.1:7443' }, 'url'],
    [{ url: 'https://127.0.0.1:7443/path' }, 'url'],
    [{ url: 'https://user@127.0.0.1:7443' }, 'url'],
    [{ url: 'https://127.0.0.1:7443\n' }, 'url'],
    [{ url: 'https://127.0.\t0.1:7443' }, 'url'],
    [{ name: 'host-b' }, 'name'],
  ] as const) {
    await assert.rejects(enrolAgent(token, url, change), { status: 400, field }, JSON.stringify(change))
  }
  const noToken = { status: 401, answerCode: 'not-logged-in' }
  await assert.rejects(enrolAgent(token, url, { secret: 'x'.repeat(43) }), noToken)
  const { answer } = await enrolAgent(token, url)
  assert.equal(new X509Certificate(answer.certificate).checkIP('127.0.0.1'), '127.0.0.1')
  await assert.rejects(enrolAgent(token, url), noToken)
  const late = await tokenFor(admin, 'host-b')
  bench.pass(15 * 60_000)
  await assert.rejects(enrolAgent(late, url), noToken)
})

test('a token is worth no more than its maker, and a host cannot take the ID of another for its name', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { id } = await admin.createCluster({ name: 'cluster' })
  await assert.rejects(admin.createEnrolmentToken({ name: id, cluster: 'cluster' }), { status: 400, field: 'name' })
  const privileges = ['Cryptographer.RegisterHost', 'Host.Inventory.AddHostToCluster', 'System.Read']
  await admin.createRole({ name: 'enroller', privileges })
  await admin.createUser({ name: 'ops', password, role: 'enroller' })
  const ops = await bench.logIn('ops')
  const [one, two, three] = [
    await tokenFor(ops, 'host-a'),
    await tokenFor(ops, 'host-b'),
    await tokenFor(ops, 'host-c'),
  ]
  await enrolAgent(one, 'https://127.0.0.1:7443')
  await admin.changeUser('ops', { role: 'NoCryptoAdmin' })
  const refused = { status: 401, message: /whoever made the enrolment token/ }
  await assert.rejects(enrolAgent(two, 'https://127.0.0.1:7444'), refused)
  await admin.deleteUser('ops')
  await assert.rejects(enrolAgent(three, 'https://127.0.0.1:7445'), refused)
})

test('what an agent says of itself cannot steer a terminal', async (context) => {
  const bench = await startBench(context)
  const enrolled = await enrolAgent(await tokenFor(await bench.logIn(), 'host-a'), 'https://127.0.0.1:7443')
  for (const [change, field] of [
    [{ version: '1\u001b[2J' }, 'version'],
    [{ bootId: 'a\nb' }, 'bootId'],
    [{ url: 'https://127.0.0.1:7443\r' }, 'url'],
  ] as const) {
    await assert.rejects(dial(enrolled, change), { status: 400, field })
  }
})

test('an agent is called only where it shows its own certificate', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await using agent = await startAgent(await tokenFor(admin, 'host-a'))
  const other = await enrolAgent(await tokenFor(admin, 'host-b'), agent.enrolled.url)
  const { sessions } = bench.service.platform
  const session = await dial(other)
  const connection = await sessions.waitFor(other.answer.hostId, AbortSignal.timeout(10_000))
  await assert.rejects(connection.client.host(), { code: 'not-trusted', message: /not the one of host host-b/ })
  assert.deepEqual(agent.callers, [])
  session.hangUp()
  await session.ended
})

test('a certificate of one listener is worth nothing at the other', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const other = await enrolAgent(await tokenFor(admin, 'host-a'), 'https://127.0.0.1:7443')
  const enrolled = await enrolAgent(await tokenFor(admin, 'host-b'), 'https://127.0.0.1:7444')
  const identity = { certificate: enrolled.answer.certificate, privateKey: enrolled.privateKey }
  const atUsers = bench.rest({ identity })
  await assert.rejects(atUsers.call({ method: 'GET', path: '/api/v1/me' }), { status: 401 })
  await assert.rejects(atUsers.call({ method: 'POST', path: '/v1/session', json: {} }), { status: 404 })
  const { token } = await bench.client().login({ user: 'admin', password })
  const atHosts = bench.rest({ url: bench.service.hostsUrl, bearerToken: token })
  await assert.rejects(atHosts.call({ method: 'GET', path: '/api/v1/me' }), { status: 404 })
  const session = { bootId: 'b', url: 'https://127.0.0.1:7444', version: '1', cryptoSupported: true }
  await assert.rejects(atHosts.call({ method: 'POST', path: '/v1/session', json: session }), { status: 401 })
  // A good certificate over another host's key is no identity: TLS itself refuses it.
  const mixed = bench.rest({
    url: bench.service.hostsUrl,
    identity: { ...identity, certificate: other.answer.certificate },
  })
  await assert.rejects(mixed.call({ method: 'POST', path: '/v1/session', json: session }), { name: 'RestClientError' })
})

test('two who use a token at once: one of them gets in', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const token = await tokenFor(admin, 'host-a')
  const outcomes = await Promise.allSettled([1, 2].map((port) => enrolAgent(token, `https://127.0.0.1:${port}`)))
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  assert.equal((await admin.hosts()).hosts.length, 1)
})

test('who is no host gets no session', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const enrolled = await enrolAgent(await tokenFor(admin, 'host-a'), 'https://127.0.0.1:7443')
  const refused = { status: 401, answerCode: 'not-logged-in' }
  const { authority } = await CertificateAuthority.create('Cryptvisor control plane CA', 1, () => new Date())
  using foreign = await authority.issue({
    commonName: 'host-a',
    usages: ['client'],
    uris: [`urn:cryptvisor:host:${enrolled.answer.hostId}`],
    validDays: 1,
  })
  const asForeign = {
    ...enrolled,
    answer: { ...enrolled.answer, certificate: foreign.certificate },
    privateKey: foreign.privateKey,
  }
  await assert.rejects(dial(asForeign), refused)
  const anonymous = bench.rest({ url: bench.service.hostsUrl })
  await assert.rejects(anonymous.call({ method: 'POST', path: '/v1/session', json: {} }), refused)
  await assert.rejects(dial(enrolled, { url: 'https://127.0.0.1:7443/x' }), { status: 400, field: 'url' })
  const good = await dial(enrolled)
  good.hangUp()
  await good.ended
})

test('a second start of the agent takes the session over and is an alarm; the same start is not', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const enrolled = await enrolAgent(await tokenFor(admin, 'host-a'), 'https://127.0.0.1:7443')
  const first = await dial(enrolled)
  const again = await dial(enrolled)
  await first.ended
  assert.deepEqual(await eventTexts(bench, 'host.session-replaced'), [])
  const other = await dial(enrolled, { bootId: 'boot-2', url: 'https://127.0.0.1:7444' })
  await again.ended
  assert.equal((await eventTexts(bench, 'host.session-replaced')).length, 1)
  assert.deepEqual(await eventTexts(bench, 'host.address-changed'), [
    'host-a answers at https://127.0.0.1:7444 now, not at https://127.0.0.1:7443 any more',
  ])
  const host = await admin.host('host-a')
  assert.deepEqual([host.connection, host.url], ['connected', 'https://127.0.0.1:7444'])
  assert.deepEqual(await eventTexts(bench, 'host.disconnected'), [])
  other.hangUp()
  await until(async () => (await admin.host('host-a')).connection === 'disconnected')
})

test('a host that enrols again keeps its ID, and its older identity is worthless at once', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const url = 'https://127.0.0.1:7443'
  const old = await enrolAgent(await tokenFor(admin, 'host-a'), url)
  const session = await dial(old)
  await admin.createCluster({ name: 'other' })
  await assert.rejects(admin.createEnrolmentToken({ name: 'host-a', cluster: 'other' }), { status: 409, field: 'name' })
  const fresh = await enrolAgent(await tokenFor(admin, 'host-a'), url)
  assert.equal(fresh.answer.hostId, old.answer.hostId)
  await session.ended
  await assert.rejects(dial(old), { status: 401 })
  const again = await dial(fresh)
  again.hangUp()
  await again.ended
})

test('a host is removed unless the work objects; then nothing of it is good any more', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const enrolled = await enrolAgent(await tokenFor(admin, 'host-a'), 'https://127.0.0.1:7443')
  const session = await dial(enrolled)
  bench.work.refusal = new ControlPlaneError('in-use', 'the VM web is on host-a')
  await assert.rejects(admin.deleteHost('host-a'), { status: 409, answerCode: 'in-use', message: /web/ })
  bench.work.refusal = null
  await assert.rejects(admin.deleteCluster('cluster'), { status: 409, message: /host-a/ })
  await admin.deleteHost('host-a')
  await session.ended
  await assert.rejects(dial(enrolled), { status: 401 })
  await assert.rejects(admin.host('host-a'), { status: 404 })
  assert.equal((await eventTexts(bench, 'host.removed')).length, 1)
})

test('hosts, users and their sessions outlive a restart; connections do not, and make no event', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const enrolled = await enrolAgent(await tokenFor(admin, 'host-a'), 'https://127.0.0.1:7443')
  const session = await dial(enrolled)
  await bench.restart()
  await session.ended
  const host = await admin.host('host-a')
  assert.deepEqual([host.connection, host.id], ['disconnected', enrolled.answer.hostId])
  assert.notEqual(host.lastSeenAt, null)
  assert.deepEqual(await eventTexts(bench, 'host.disconnected'), [])
  const again = await dial(enrolled)
  assert.equal((await admin.host('host-a')).connection, 'connected')
  again.hangUp()
  await again.ended
})

test('after a restore a host whose certificate was renewed since the backup is taken, once, and no other', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await using agent = await startAgent(await tokenFor(admin, 'host-a'))
  const unknownNow = (change: { certificate_expires_at?: number }) =>
    bench.withDatabase((database) =>
      database
        .updateTable('host')
        .set({ certificate_serial: 'of-the-backup', ...change })
        .execute(),
    )
  const hold = (on_hold: 0 | 1, restored_from: number) =>
    bench.withDatabase((database) => database.updateTable('installation').set({ on_hold, restored_from }).execute())
  const refused = { status: 401 }
  await unknownNow({ certificate_expires_at: Date.now() })
  await assert.rejects(dial(agent.enrolled), refused, 'nothing was restored')
  await hold(1, Date.now() + 60_000)
  await assert.rejects(dial(agent.enrolled), refused, 'it was issued before the backup, and replaced or revoked by it')
  await hold(0, Date.now() - 60_000)
  await assert.rejects(dial(agent.enrolled), refused, 'it is settled')
  await hold(1, Date.now() - 60_000)
  const session = await dial(agent.enrolled)
  session.hangUp()
  assert.equal((await eventTexts(bench, 'host.certificate-accepted')).length, 1)
  await unknownNow({})
  await assert.rejects(dial(agent.enrolled), refused, 'a newer one was taken already')
})
