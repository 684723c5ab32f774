import assert from 'node:assert/strict'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { hostUri } from '@cryptvisor/host-agent-api'
import { CertificateAuthority, createRequest, readCertificate } from '@cryptvisor/pki'
import { temporaryFolder } from '@cryptvisor/testkit'
import { agentFiles, readConfig } from './config.ts'
import { type EnrolOptions, enrol } from './enrol.ts'
import { readEnrolled } from './enrolled.ts'
import { TestControlPlane } from './testing/test-control-plane.ts'

function optionsFor(folder: string): EnrolOptions {
  return { folder, urlHost: '127.0.0.1', port: null, hardwareUuid: 'new' }
}

test('a token makes a host: identity and configuration for its owner alone, the port kept', async (context) => {
  const plane = await TestControlPlane.start(context, { mutual: false })
  const folder = join(temporaryFolder(context), 'agent')
  const config = await enrol(`${plane.token()}\n`, optionsFor(folder))
  assert.deepEqual(await readConfig(folder), config)
  assert.equal(config.url, `https://127.0.0.1:${config.port}`)
  assert.equal(config.controlPlaneUrl, plane.url)
  assert.equal(plane.enrolments[0]?.url, config.url)
  assert.equal(plane.enrolments[0]?.hardwareUuid, config.hardwareUuid)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  for (const path of [agentFiles.config, agentFiles.identity, agentFiles.ca]) {
    assert.equal(statSync(path(folder)).mode & 0o777, 0o600)
  }
  const { uris } = readCertificate((await readEnrolled(folder)).identity.certificate)
  assert.deepEqual(uris, [hostUri(config.hostId)])
  await assert.rejects(enrol(plane.token(), optionsFor(folder)), { code: 'already-enrolled', message: /--again/ })
  const again = await enrol(plane.token(), { ...optionsFor(folder), again: true })
  // Which host it is the control plane says: here it counts.
  assert.deepEqual(again, { ...config, hostId: again.hostId }, 'enrolled again it keeps its port and settings')
})

test('a control plane with another CA than the token says gets no secret', async (context) => {
  const plane = await TestControlPlane.start(context, { mutual: false })
  const other = await TestControlPlane.start(context, { mutual: false })
  const token = JSON.parse(Buffer.from(plane.token(), 'base64url').toString()) as object
  const forged = Buffer.from(JSON.stringify({ ...token, url: other.url })).toString('base64url')
  const folder = join(temporaryFolder(context), 'agent')
  await assert.rejects(enrol(forged, optionsFor(folder)), { code: 'enrolment-refused' })
  assert.equal(other.enrolments.length, 0)
})

test('an answer that is not for this host and its key is refused, and nothing is written', async (context) => {
  const plane = await TestControlPlane.start(context, { mutual: false })
  const { authority, privateKey } = await CertificateAuthority.create('Other CA', 1, () => new Date())
  using _ = privateKey
  const stranger = await createRequest('stranger')
  using _key = stranger.privateKey
  const profile = { commonName: 'x', usages: ['client'] as const, uris: [hostUri('id')], validDays: 1 }
  const strangers = await plane.authority.signRequest(stranger.csr, profile)
  const forgeries: [Parameters<typeof Object.assign>[1], RegExp][] = [
    [{ hostId: 'another' }, /names another host/],
    [{ ca: authority.certificate }, /another CA/],
    [{ certificate: strangers, hostId: 'id' }, /another key/],
    [{ certificate: 'none' }, /certificate in PEM/],
  ]
  for (const [change, text] of forgeries) {
    plane.forge = (answer) => ({ ...answer, ...change })
    const folder = join(temporaryFolder(context), 'agent')
    await assert.rejects(enrol(plane.token(), optionsFor(folder)), { code: 'enrolment-refused', message: text })
    assert.ok(!existsSync(agentFiles.config(folder)))
    assert.ok(!existsSync(agentFiles.identity(folder)))
  }
})

test('an address that is not this machine’s needs a port, and costs no token', async (context) => {
  const plane = await TestControlPlane.start(context, { mutual: false })
  // RFC 5737: an address of nobody's.
  const options = { ...optionsFor(join(temporaryFolder(context), 'agent')), urlHost: '192.0.2.1' }
  await assert.rejects(enrol(plane.token(), options), {
    code: 'bad-usage',
    message: /--url-host 192\.0\.2\.1: .*--port/,
  })
  assert.equal(plane.enrolments.length, 0)
})

test('a damaged token is told apart, and not repeated', async (context) => {
  const options = optionsFor(temporaryFolder(context))
  const encoded = (text: string) => Buffer.from(text).toString('base64url')
  for (const token of ['', 'no token', encoded('{"version":1}'), encoded('{"secret": hidden'), 'eyJ2ZXJzaW9uIjoxfQ']) {
    await assert.rejects(enrol(token, options), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'bad-usage')
      assert.ok(token === '' || !error.message.includes(token))
      assert.ok(!inspect(error, { depth: 10 }).includes('hidden'))
      return true
    })
  }
})

test('a configuration with a mistake is refused by name, with what to do', async (context) => {
  const folder = temporaryFolder(context)
  for (const [text, message] of [
    ['{', /expected JSON: .*Correct it \(docs\/configuration\.md/],
    ['{"colour": "red"}', /config\.json: .*Correct it/],
  ] as const) {
    writeFileSync(agentFiles.config(folder), text)
    await assert.rejects(readConfig(folder), { code: 'bad-config', message })
  }
})
