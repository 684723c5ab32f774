import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'
import { post } from '../testing/recorded-calls.ts'

test('key-provider add shows the certificates of servers, and trusts none that nobody accepted', async (context) => {
  const { desk, fake } = await openDesk(context)
  const line = ['key-provider', 'add', 'kms', '--server', 'kms-1']
  const asked = await desk.run(line)
  assert.equal(asked.exitCode, 2)
  assert.match(asked.stderr, /subject: +CN=kms-1[\s\S]*issuer: +CN=KMS CA[\s\S]*SHA-256: +(CD:){31}CD/)
  assert.match(asked.stderr, new RegExp(`--accept-fingerprint ${'cd'.repeat(32)}`))
  const other = await desk.run([...line, '--accept-fingerprint', 'ab'.repeat(32)])
  assert.equal(other.exitCode, 1)
  assert.match(other.stderr, /another certificate than the accepted one/)
  assert.deepEqual(fake.changes, [], 'nothing was added')
  fake.calls.length = 0
  const { exitCode, stderr } = await desk.run([...line, '--accept-fingerprint', 'CD'.repeat(32)])
  assert.equal(exitCode, 0, stderr)
  const servers = [{ host: 'kms-1', port: 5696, fingerprint256: 'cd'.repeat(32) }]
  assert.deepEqual(fake.changes, [post('/key-providers', { name: 'kms', servers })])
})

test('a server whose certificate is over is not offered for trust: nothing would make it good', async (context) => {
  const { desk, fake } = await openDesk(context)
  const line = ['key-provider', 'trust', 'server', 'kms', '--server', 'ended-kms']
  for (const accepted of [[], ['--accept-fingerprint', 'CD'.repeat(32)]]) {
    const { exitCode, stderr } = await desk.run([...line, ...accepted])
    assert.equal(exitCode, 1)
    assert.match(stderr, /the certificate of ended-kms:5696 is over[\s\S]*renew it at the key server/)
  }
  assert.deepEqual(fake.changes, [])
})

test('key-provider trust sends a signed certificate and an uploaded pair, and prints what is to be sent', async (context) => {
  const { desk, fake } = await openDesk(context)
  const pem = (text: string) => `-----BEGIN ${text}-----\n-----END ${text}-----\n`
  const certificate = desk.file('client.pem', pem('CERTIFICATE'))
  const key = desk.file('client.key', pem('PRIVATE KEY'))
  assert.equal((await desk.run(['key-provider', 'trust', 'certificate', 'kms', certificate])).exitCode, 0)
  const upload = ['key-provider', 'trust', 'upload', 'kms', '--client-cert', certificate, '--client-key', key]
  assert.equal((await desk.run(upload)).exitCode, 0)
  assert.deepEqual(fake.changes, [
    post('/key-providers/kms/client-trust/certificate', { certificate: pem('CERTIFICATE') }),
    { call: 'PUT /api/v1/key-providers/kms/client-key', body: undefined },
    post('/key-providers/kms/client-trust', { way: 'upload', certificate: pem('CERTIFICATE') }),
  ])
  assert.deepEqual(fake.clientKeys, [pem('PRIVATE KEY')])
  const csr = await desk.run(['key-provider', 'trust', 'csr', 'kms'])
  assert.match(csr.stdout, /^-----BEGIN CERTIFICATE REQUEST-----[\s\S]*-----END CERTIFICATE REQUEST-----\n$/)
  assert.match(csr.stderr, /have the key server’s CA sign the request/)
  const out = `${desk.folder}/ca.pem`
  const root = ['key-provider', 'trust', 'root-ca', 'kms', '--out', out]
  assert.equal((await desk.run(root)).exitCode, 0)
  assert.match(readFileSync(out, 'utf8'), /root/)
  assert.match((await desk.run(root)).stderr, /is there already/)
})

test('key-provider add sends the files that it is given', async (context) => {
  const { desk, fake } = await openDesk(context)
  const pem = (text: string) => `-----BEGIN ${text}-----\n-----END ${text}-----\n`
  const { exitCode, stderr } = await desk.run([
    ...['key-provider', 'add', 'kms', '--server', 'kms-1:5697', '--server', 'kms-2', '--server', '[::1]:5698'],
    ...[
      '--server-ca',
      desk.file('ca.pem', pem('CERTIFICATE')),
      '--client-cert',
      desk.file('c.pem', pem('CERTIFICATE')),
    ],
    ...['--client-key', desk.file('c.key', pem('PRIVATE KEY')), '--default'],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.deepEqual(fake.clientKeys, [pem('PRIVATE KEY')])
  assert.deepEqual(fake.changes, [
    { call: 'PUT /api/v1/key-providers/kms/client-key', body: undefined },
    post('/key-providers', {
      name: 'kms',
      servers: [
        { host: 'kms-1', port: 5697 },
        { host: 'kms-2', port: 5696 },
        { host: '::1', port: 5698 },
      ],
      serverCa: pem('CERTIFICATE'),
      clientCertificate: pem('CERTIFICATE'),
      makeDefault: true,
    }),
  ])
})
