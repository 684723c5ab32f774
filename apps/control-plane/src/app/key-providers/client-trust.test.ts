import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { CertificateAuthority } from '@cryptvisor/pki'
import { PykmipServer, pykmipSkip, temporaryFolder } from '@cryptvisor/testkit'
import { type Bench, startBench } from '../../testing/bench.ts'
import { sendClientKey } from '../../testing/new-provider.ts'

const dayMs = 86_400_000

/** A provider of that server, which is trusted by its CA, and has no client certificate yet. */
async function addBare(admin: ControlPlaneClient, pykmip: PykmipServer): Promise<void> {
  const { host, port, caPem } = pykmip.options
  await admin.addKeyProvider({ name: 'kms', servers: [{ host, port }], serverCa: caPem })
}

/** A PyKMIP server that takes clients of the bench's CA, too. */
async function startPykmip(context: TestContext, clientCas: string): Promise<PykmipServer> {
  const pykmip = await PykmipServer.start(temporaryFolder(context), { clientCas })
  context.after(() => pykmip[Symbol.asyncDispose]())
  return pykmip
}

async function keysWork(bench: Bench): Promise<boolean> {
  const provider = await bench.service.platform.keyProviders.get('kms')
  try {
    await provider.destroyKey(await provider.createKey())
    return true
  } catch {
    return false
  }
}

test('a provider is set up step by step, and each of the four ways works with a real server', {
  skip: pykmipSkip,
}, async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const pykmip = await startPykmip(context, bench.ca)
  const { host, port } = pykmip.options

  await context.test('before trust: not set up, and it says what is missing', async () => {
    const added = await admin.addKeyProvider({ name: 'kms', servers: [{ host, port }] })
    assert.match(added.missing ?? '', /not trusted yet.*trust server kms.*no client certificate yet/)
    assert.equal((await admin.keyProviderStatus('kms')).health, 'red')
    await assert.rejects(bench.service.platform.keyProviders.get('kms'), {
      code: 'no-key-provider',
      message: /not set up/,
    })
  })

  await context.test('the server’s certificate is shown, and pinned by its fingerprint', async () => {
    const { certificate, problem } = await admin.inspectKeyServer({ host, port })
    assert.ok(certificate !== null, problem ?? '')
    assert.deepEqual([certificate.subject, certificate.issuer], ['CN=pykmip', 'CN=PyKMIP CA'])
    const { fingerprint256 } = certificate
    const trusted = await admin.trustKeyServers('kms', { pins: [{ host, port, fingerprint256 }] })
    assert.deepEqual(trusted.servers, [{ host, port, fingerprint256 }])
    await assert.rejects(admin.trustKeyServers('kms', { pins: [{ host, port: 1, fingerprint256 }] }), { status: 404 })
    assert.match((await admin.inspectKeyServer({ host, port: 1 })).problem ?? '', /ECONNREFUSED/)
  })

  await context.test('root-ca: a certificate under our CA', async () => {
    const { active, prepared, rootCaPem } = await admin.prepareClientTrust('kms', { way: 'root-ca' })
    assert.deepEqual([active?.way, prepared], ['root-ca', null])
    assert.equal(rootCaPem, bench.ca)
    assert.ok(active?.renewAt !== null)
    const status = await admin.keyProviderStatus('kms')
    // PyKMIP takes no labels.
    assert.equal(status.health, 'yellow', status.text)
    assert.match(status.text, /labels are refused/)
    assert.equal(status.servers[0]?.certificate?.subject, 'CN=pykmip')
  })

  await context.test('csr: what is not made of the request is refused, and the key never leaves', async () => {
    const asked = await admin.prepareClientTrust('kms', { way: 'csr', commonName: 'control-plane' })
    assert.deepEqual([asked.active?.way, asked.prepared?.way], ['root-ca', 'csr'])
    assert.match(asked.next ?? '', /trust certificate kms FILE/)
    assert.doesNotMatch(JSON.stringify(asked), /PRIVATE KEY/)
    await assert.rejects(admin.activateClientTrust('kms', {}), { status: 400, message: /not signed yet/ })
    using other = await pykmip.authority.issue({ commonName: 'control-plane', usages: ['client'], validDays: 1 })
    const wrong = { certificate: other.certificate }
    await assert.rejects(admin.sendSignedCertificate('kms', wrong), {
      status: 400,
      field: 'certificate',
      message: /not made of the request/,
    })
    const profile = { commonName: 'control-plane', validDays: 1 }
    const csr = asked.prepared?.csrPem ?? ''
    const forServers = await pykmip.authority.signRequest(csr, { ...profile, usages: ['server'] })
    await assert.rejects(admin.sendSignedCertificate('kms', { certificate: forServers }), { message: /clientAuth/ })
    const { authority: past } = await CertificateAuthority.create('past', 9, () => new Date(Date.now() - 5 * dayMs))
    const expired = await past.signRequest(csr, { ...profile, usages: ['client'] })
    await assert.rejects(admin.sendSignedCertificate('kms', { certificate: expired }), { message: /expired on/ })
    assert.equal((await admin.clientTrust('kms')).active?.way, 'root-ca', 'nothing changed')
    const certificate = await pykmip.authority.signRequest(csr, { ...profile, usages: ['client'] })
    const taken = await admin.sendSignedCertificate('kms', { certificate })
    assert.deepEqual([taken.active?.way, taken.prepared], ['csr', null])
    assert.ok(await keysWork(bench))
    await assert.rejects(admin.sendSignedCertificate('kms', { certificate }), { message: /no request .* waits/ })
  })

  await context.test('self-signed: the old one goes on until the server takes the new one, or with force', async () => {
    const asked = await admin.prepareClientTrust('kms', { way: 'self-signed' })
    assert.deepEqual([asked.active?.way, asked.prepared?.way], ['csr', 'self-signed'])
    assert.match(asked.next ?? '', /do not take the new certificate yet.*register the new certificate/)
    assert.equal(asked.prepared?.certificate?.subject, 'CN=control-plane', 'the servers go on knowing the name')
    assert.ok(await keysWork(bench))
    assert.equal((await admin.activateClientTrust('kms', {})).active?.way, 'csr')
    assert.equal((await admin.activateClientTrust('kms', { force: true })).active?.way, 'self-signed')
    assert.equal((await admin.keyProviderStatus('kms')).health, 'red')
  })

  await context.test('upload: certificate and key of the key server', async () => {
    using identity = await pykmip.authority.issue({ commonName: 'uploaded', usages: ['client'], validDays: 1 })
    await sendClientKey(
      admin,
      'kms',
      identity.privateKey.expose((bytes) => Uint8Array.from(bytes)),
    )
    const request = { way: 'upload', certificate: identity.certificate } as const
    assert.equal((await admin.prepareClientTrust('kms', request)).active?.way, 'upload')
    await assert.rejects(admin.prepareClientTrust('kms', request), { field: 'clientKey' })
    await assert.rejects(admin.prepareClientTrust('kms', { way: 'upload' }), { field: 'certificate' })
    await assert.rejects(admin.prepareClientTrust('kms', { ...request, way: 'csr' }), { field: 'certificate' })
    assert.notEqual((await admin.keyProviderStatus('kms')).health, 'red')
  })

  await context.test('all of it is there after a restart, and a changed row does not open', async () => {
    await bench.restart()
    assert.ok(await keysWork(bench))
    await bench.withDatabase((database) =>
      database.updateTable('provider_identity').set({ certificate: pykmip.authority.certificate }).execute(),
    )
    await bench.restart()
    await assert.rejects(bench.service.platform.keyProviders.get('kms'), { code: 'value-damaged' })
  })
})

test('a certificate under our CA renews itself at two thirds of its life', { skip: pykmipSkip }, async (context) => {
  const bench = await startBench(context)
  bench.pass(-300 * dayMs)
  const pykmip = await startPykmip(context, bench.ca)
  await addBare(await bench.logIn(), pykmip)
  const { clientTrusts, clientRenewal } = bench.service.platform
  await (await bench.logIn()).prepareClientTrust('kms', { way: 'root-ca' })
  const first = (await clientTrusts.show('kms')).active
  bench.pass(200 * dayMs)
  await clientRenewal.look()
  assert.deepEqual((await clientTrusts.show('kms')).active, first, 'it is not due')
  bench.pass(100 * dayMs)
  await clientRenewal.look()
  const renewed = (await clientTrusts.show('kms')).active
  assert.equal(renewed?.certificate?.subject, first?.certificate?.subject)
  assert.ok(Date.parse(renewed?.certificate?.notAfter ?? '') > Date.parse(first?.certificate?.notAfter ?? ''))
  assert.ok(await keysWork(bench))
})

test('one that a person has to register is prepared, told of once, and used when the server takes it', {
  skip: pykmipSkip,
}, async (context) => {
  const bench = await startBench(context)
  bench.pass(-700 * dayMs)
  const far = await startPykmip(context, '')
  const before = await bench.logIn()
  await addBare(before, far)
  const { active } = await before.prepareClientTrust('kms', { way: 'self-signed' })
  bench.pass(700 * dayMs)
  const admin = await bench.logIn()
  const { clientRenewal } = bench.service.platform
  for (const _ of [1, 2, 3]) await clientRenewal.look()
  const events = (await admin.events({ type: 'key-provider.client-certificate-due' })).events
  assert.equal(events.length, 1)
  assert.match(events[0]?.text ?? '', /the old one goes on.*register the new certificate at the key server/)
  const waiting = await admin.clientTrust('kms')
  assert.deepEqual(waiting.active, active)
  const registered = await startPykmip(context, waiting.prepared?.certificatePem ?? '')
  await admin.trustKeyServers('kms', { serverCa: registered.options.caPem })
  const moved = { host: registered.options.host, port: registered.port }
  await admin.changeKeyServer('kms', `127.0.0.1:${far.port}`, moved)
  await clientRenewal.look()
  const taken = await admin.clientTrust('kms')
  assert.deepEqual([taken.prepared, taken.active?.certificatePem], [null, waiting.prepared?.certificatePem])
  assert.ok(await keysWork(bench))
})
