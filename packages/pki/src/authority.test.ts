import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { CertificateAuthority } from './authority.ts'
import { readCertificate } from './certificate.ts'
import { PkiError } from './pki-error.ts'
import { createRequest } from './request.ts'
import { isSignedBy } from './signature.ts'

const now = () => new Date('2026-11-24T12:00:00Z')

test('an issued certificate says who, for what and until when, and stands under its authority', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 3650, now)
  using _key = privateKey
  using identity = await authority.issue({
    commonName: 'host-a, "first"',
    usages: ['server', 'client'],
    hosts: ['localhost', '127.0.0.1', '::1'],
    uris: ['urn:cryptvisor:host:1', 'urn:cryptvisor:odd,name'],
    validDays: 30,
  })
  const info = readCertificate(identity.certificate)
  assert.equal(info.commonName, 'host-a, "first"')
  assert.deepEqual(info.uris, ['urn:cryptvisor:host:1', 'urn:cryptvisor:odd,name'])
  assert.equal(info.notAfter.toISOString(), '2026-12-24T12:00:00.000Z')
  assert.match(info.fingerprint256, /^[0-9a-f]{64}$/)
  const leaf = new X509Certificate(identity.certificate)
  const ca = new X509Certificate(authority.certificate)
  assert.ok(leaf.checkIssued(ca))
  assert.ok(leaf.verify(ca.publicKey))
  assert.ok(!leaf.ca)
  assert.ok(ca.ca)
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1')
  assert.equal(leaf.checkHost('localhost'), 'localhost')
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
})

test('an authority is taken up again from certificate and key', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, now)
  using key = privateKey
  const again = await CertificateAuthority.load(authority.certificate, key, now)
  using identity = await again.issue({ commonName: 'x', usages: ['client'], validDays: 1 })
  assert.ok(new X509Certificate(identity.certificate).verify(new X509Certificate(authority.certificate).publicKey))
  using wrong = (await createRequest('x')).privateKey
  await assert.rejects(CertificateAuthority.load('no certificate', wrong, now), PkiError)
  for (const other of [
    Buffer.from('no key'),
    keyFile(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey),
    keyFile(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
  ]) {
    using unfit = Secret.from(other)
    await assert.rejects(CertificateAuthority.load(authority.certificate, unfit, now), PkiError)
  }
})

test('openssl reads the private keys, and they are those of their certificates', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, now)
  using authorityKey = privateKey
  using identity = await authority.issue({ commonName: 'x', usages: ['client'], validDays: 1 })
  for (const [key, certificate] of [
    [authorityKey, authority.certificate],
    [identity.privateKey, identity.certificate],
  ] as const) {
    const { status, stdout, stderr } = key.expose((input) =>
      spawnSync('/usr/bin/openssl', ['pkey', '-check', '-pubout'], { input, encoding: 'utf8' }),
    )
    assert.equal(status, 0, stderr)
    assert.ok(
      stdout.includes(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'pem' }).toString()),
    )
  }
})

test('of a request only the key is taken', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, now)
  using _key = privateKey
  const request = await createRequest('somebody else')
  using _requestKey = request.privateKey
  const info = readCertificate(
    await authority.signRequest(request.csr, { commonName: 'host-b', usages: ['client'], validDays: 1 }),
  )
  assert.equal(info.commonName, 'host-b')
})

test('a damaged request is refused', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, now)
  using _key = privateKey
  const profile = { commonName: 'x', usages: ['client'] as const, validDays: 1 }
  const request = await createRequest('x')
  using _requestKey = request.privateKey
  const der = Buffer.from(request.csr.replace(/-----.*-----|\s/g, ''), 'base64')
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1
  const damaged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  await assert.rejects(authority.signRequest(damaged, profile), { code: 'bad-request' })
  await assert.rejects(authority.signRequest('nothing', profile), { code: 'bad-request' })
  await assert.rejects(authority.issue({ ...profile, commonName: 'two\nlines' }), { code: 'bad-name' })
  assert.throws(() => readCertificate('nothing'), { code: 'bad-certificate' })
})

function keyFile(key: KeyObject): Buffer {
  return Buffer.from(key.export({ type: 'pkcs8', format: 'pem' }))
}

test('what an authority signs is checked with its certificate, by us and by OpenSSL, and nothing else passes', async () => {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 3650, now)
  using _key = privateKey
  const other = await CertificateAuthority.create('Test CA', 3650, now)
  using _otherKey = other.privateKey
  const text = Buffer.from('a manifest')
  const signature = await authority.signBytes(text)
  assert.ok(isSignedBy(authority.certificate, text, signature))
  assert.ok(!isSignedBy(other.authority.certificate, text, signature))
  assert.ok(!isSignedBy(authority.certificate, Buffer.from('a manifesto'), signature))
  assert.ok(!isSignedBy(authority.certificate, text, signature.subarray(1)))
  assert.ok(!isSignedBy('no certificate', text, signature))
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-pki-'))
  try {
    const place = (name: string) => join(folder, name)
    writeFileSync(place('text'), text)
    writeFileSync(place('signature'), signature)
    const publicKey = new X509Certificate(authority.certificate).publicKey.export({ type: 'spki', format: 'pem' })
    writeFileSync(place('key.pem'), publicKey)
    const { stdout } = spawnSync(
      'openssl',
      ['dgst', '-sha256', '-verify', place('key.pem'), '-signature', place('signature'), place('text')],
      { encoding: 'utf8' },
    )
    assert.equal(stdout, 'Verified OK\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
