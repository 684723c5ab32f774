import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { CertificateAuthority, createSelfSignedClient, type Profile } from '@cryptvisor/pki'
import { PykmipServer, pykmipSkip, temporaryFolder } from '@cryptvisor/testkit'
import { type KeyProviderError, type KmipServer, StandardKeyProvider } from './index.ts'

const dayMs = 86_400_000

/** What making a key fails with, and what a probe says of the server. */
async function failureOf(server: KmipServer): Promise<{ error: KeyProviderError; reason: string }> {
  const failoverLimits = { roundsMax: 1 }
  const clientLimits = { connectTimeoutMs: 500 }
  await using provider = new StandardKeyProvider({ id: 'kms', servers: [server], failoverLimits, clientLimits })
  const error: unknown = await provider.createKey().catch((thrown) => thrown)
  const status = await provider.probe()
  assert.equal(status.health, 'red')
  // Nothing but this class is thrown.
  return { error: error as KeyProviderError, reason: status.servers[0]?.reason ?? '' }
}

/** Says who failed, why, and what to do: in the error, and in the probe's words. */
async function says(server: KmipServer, code: KeyProviderError['code'], cause: RegExp, next: RegExp): Promise<void> {
  const { error, reason } = await failureOf(server)
  assert.equal(error.code, code, error.message)
  for (const text of [error.message, reason]) {
    assert.ok(text.includes(`${server.host}:${server.port}`), `the server: ${text}`)
    assert.match(text, cause)
    assert.match(text, next)
  }
}

/** Something that listens; `answer` to what connects. */
async function listen(context: TestContext, answer: string | null): Promise<{ host: string; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', () => answer !== null && socket.end(answer))
    context.after(() => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.close())
  // A server that listens on TCP has an address with a port.
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

test('a real server: server, cause and next step for each thing that is wrong', {
  skip: pykmipSkip,
}, async (context) => {
  const { authority: old } = await CertificateAuthority.create('old CA', 3, () => new Date(Date.now() - 2 * dayMs))
  await using pykmip = await PykmipServer.start(temporaryFolder(context), { clientCas: old.certificate })
  const good = { ...pykmip.options, name: `${pykmip.options.host}:${pykmip.port}` }
  const shownAs = async (from: CertificateAuthority, profile: Partial<Profile>): Promise<KmipServer> => {
    const identity = await from.issue({ commonName: 'control-plane', usages: ['client'], validDays: 1, ...profile })
    context.after(() => identity[Symbol.dispose]())
    return { ...good, clientCertificatePem: identity.certificate, clientKey: identity.privateKey }
  }

  await context.test('its certificate comes from another CA', async () => {
    const { authority: stranger } = await CertificateAuthority.create('stranger', 1, () => new Date())
    await says(
      { ...good, caPem: stranger.certificate },
      'not-trusted',
      /CN=pykmip, issuer CN=PyKMIP CA\) comes from no authority that is trusted/,
      /key-provider trust server/,
    )
  })
  await context.test('its certificate is for another name', async () => {
    await says(
      { ...good, host: 'localhost', name: `localhost:${pykmip.port}` },
      'not-trusted',
      /is for other names \(IP Address:127\.0\.0\.1\)/,
      /use one of these as the address/,
    )
  })
  await context.test('its certificate is not the pinned one', async () => {
    const { caPem: _, ...pinned } = good
    const { error } = await failureOf({ ...pinned, fingerprint256: 'ab'.repeat(32) })
    assert.match(error.message, /it has the fingerprint [0-9a-f]{64} .*trusted is (ab){32}/)
    assert.match(error.message, /key-provider trust server/)
  })
  await context.test('our certificate has expired', async () => {
    const identity = await shownAs(old, {})
    await says(identity, 'not-trusted', /our client certificate has expired/, /key-provider trust/)
  })
  await context.test('our certificate is not for a client', async () => {
    const identity = await shownAs(pykmip.authority, { usages: ['server'] })
    await says(identity, 'not-trusted', /clientAuth|does not know our client certificate/, /see whether/)
  })
  await context.test('our certificate is nobody’s there', async () => {
    using stranger = await createSelfSignedClient('control-plane', 1, new Date())
    await says(
      { ...good, clientCertificatePem: stranger.certificate, clientKey: stranger.privateKey },
      'not-trusted',
      /does not know our client certificate|ended the handshake/,
      /see whether it trusts|whether it trusts/,
    )
  })
  await context.test('its port is closed', async () => {
    await says(
      { ...good, port: 1, name: '127.0.0.1:1' },
      'unreachable',
      /ECONNREFUSED.*nobody listens/,
      /start the key server/,
    )
  })
  await context.test('its name is not known', async () => {
    const server = { ...good, host: 'kms.invalid', name: `kms.invalid:${good.port}` }
    await says(server, 'unreachable', /ENOTFOUND|EAI_AGAIN/, /correct the name|give the server’s address/)
  })
  await context.test('it says nothing', async (step) => {
    const address = await listen(step, null)
    await says({ ...good, ...address }, 'unreachable', /did not connect in 500 ms/, /whether a firewall/)
  })
  await context.test('it speaks no TLS', async (step) => {
    const address = await listen(step, 'HTTP/1.1 400 Bad Request\r\n\r\n')
    await says({ ...good, ...address }, 'not-trusted', /does not speak TLS/, /correct the port/)
  })
})
