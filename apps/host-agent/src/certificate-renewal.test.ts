import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hostUri } from '@cryptvisor/host-agent-api'
import { CertificateAuthority, readCertificate } from '@cryptvisor/pki'
import { isRenewalDue, RenewalWish, waitForRenewal } from './certificate-renewal.ts'
import { agentFiles } from './config.ts'
import { readIdentity, writeIdentity } from './identity-file.ts'

const dayMs = 86_400_000
const begin = Date.UTC(2030, 0, 1)

async function identityOf(validDays: number) {
  const { authority, privateKey } = await CertificateAuthority.create('test', 3650, () => new Date(begin))
  privateKey[Symbol.dispose]()
  return authority.issue({ commonName: 'host-a', usages: ['client'], uris: [hostUri('host-1')], validDays })
}

test('a certificate is due at two thirds of its life, whenever that is', async () => {
  using identity = await identityOf(90)
  assert.equal(isRenewalDue(identity.certificate, begin), false)
  assert.equal(isRenewalDue(identity.certificate, begin + 59 * dayMs), false)
  assert.equal(isRenewalDue(identity.certificate, begin + 61 * dayMs), true)
  assert.equal(isRenewalDue(identity.certificate, begin + 1000 * dayMs), true)
})

test('a renewal comes when it is due, when somebody wants it, and not after the end', async () => {
  using identity = await identityOf(90)
  const timing = (day: number) => ({ now: () => begin + day * dayMs, random: () => 0 })
  const ended = new AbortController()
  const wish = new RenewalWish()
  assert.equal(await waitForRenewal(identity.certificate, wish, timing(70), ended.signal, false), 'due')
  const waiting = waitForRenewal(identity.certificate, wish, timing(1), ended.signal, false)
  wish.wish()
  assert.equal(await waiting, 'due')
  const after = waitForRenewal(identity.certificate, wish, timing(1), ended.signal, true)
  ended.abort()
  assert.equal(await after, 'ended')
})

test('certificate and key are replaced together: what a crash leaves beside them plays no part', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-identity-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  assert.equal(await readIdentity(folder), null)
  using first = await identityOf(90)
  await writeIdentity(folder, first)
  // Killed while the next one was written.
  writeFileSync(`${agentFiles.identity(folder)}.new`, 'half of a certif')
  {
    using read = await readIdentity(folder)
    assert.ok(read)
    assert.equal(readCertificate(read.certificate).serialNumber, readCertificate(first.certificate).serialNumber)
    assert.ok(read.privateKey.equal(first.privateKey))
  }
  using second = await identityOf(90)
  await writeIdentity(folder, second)
  using read = await readIdentity(folder)
  assert.ok(read?.privateKey.equal(second.privateKey))
  assert.deepEqual(readdirSync(folder), ['identity.pem'])
})

test('what an older version left in two files is read, until it is renewed', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-identity-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  using old = await identityOf(90)
  writeFileSync(agentFiles.certificate(folder), old.certificate)
  old.privateKey.expose((bytes) => writeFileSync(agentFiles.privateKey(folder), bytes))
  {
    using read = await readIdentity(folder)
    assert.ok(read?.privateKey.equal(old.privateKey))
  }
  using fresh = await identityOf(90)
  await writeIdentity(folder, fresh)
  using read = await readIdentity(folder)
  assert.ok(read?.privateKey.equal(fresh.privateKey))
})
