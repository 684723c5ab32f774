import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSelfSignedClient, readCertificate } from './index.ts'

test('a self-signed client certificate is good for a client where it is trusted itself, and belongs to its key', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-pki-'))
  context.after(() => rmSync(folder, { recursive: true }))
  using identity = await createSelfSignedClient('Cryptvisor', 10, new Date())
  const path = join(folder, 'client.pem')
  writeFileSync(path, identity.certificate)
  const verify = (purpose: string) =>
    execFileSync('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', path, path], { stdio: 'pipe' })
  assert.match(verify('sslclient').toString(), /OK/)
  assert.throws(() => verify('sslserver'))
  const key = identity.privateKey.expose((pem) => createPrivateKey({ key: Buffer.from(pem), format: 'pem' }))
  assert.ok(new X509Certificate(identity.certificate).checkPrivateKey(key))
  const { subject, issuer, notAfter } = readCertificate(identity.certificate)
  assert.equal(subject, issuer)
  assert.ok(notAfter.getTime() > Date.now() + 9 * 86_400_000)
})
