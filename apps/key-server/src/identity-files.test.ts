import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { holdsTrace, temporaryFolder } from '@cryptvisor/testkit'
import { dataFolder } from './data-folder.ts'
import { IdentityFiles } from './identity-files.ts'

const dayMs = 86_400_000
const hostNames = ['127.0.0.1', 'kms.example.org']

/** A CA and a server certificate in a new folder, and a clock that the test moves. */
async function start(context: TestContext) {
  const clock = { now: new Date('2026-06-01T12:00:00Z') }
  const folder = dataFolder(temporaryFolder(context))
  using rootKey = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), rootKey)
  const files = new IdentityFiles(folder, barrier, () => clock.now)
  await files.issueServer(await files.createAuthority(), hostNames)
  return { clock, folder, files }
}

test('the certificate is made anew at two thirds of its life, under the same CA', async (context) => {
  const { clock, files } = await start(context)
  const ca = await files.caCertificate()
  using first = (await files.server(hostNames)).identity
  clock.now = new Date(clock.now.getTime() + 264 * dayMs)
  const young = await files.server(hostNames)
  assert.equal(young.isRenewed, false)
  assert.equal(young.identity.certificate, first.certificate)
  clock.now = new Date(clock.now.getTime() + 2 * dayMs)
  const old = await files.server(hostNames)
  assert.equal(old.isRenewed, true)
  assert.notEqual(old.identity.certificate, first.certificate)
  assert.equal((await files.server(hostNames)).isRenewed, false)
  assert.equal(await files.caCertificate(), ca)
})

test('a renewal that was cut short is made good', async (context) => {
  const { folder, files } = await start(context)
  const certificate = readFileSync(folder.server)
  await files.issueServer(await files.authority(), hostNames)
  // The new key is there, and the old certificate still.
  writeFileSync(folder.server, certificate)
  assert.equal((await files.server(hostNames)).isRenewed, true)
  assert.equal((await files.server(hostNames)).isRenewed, false)
})

test('private keys lie sealed, each for its own file', async (context) => {
  const { folder, files } = await start(context)
  using identity = (await files.server(hostNames)).identity
  const der = identity.privateKey.expose((pem) =>
    Buffer.from(
      Buffer.from(pem)
        .toString()
        .replace(/-----.*-----|\s/g, ''),
      'base64',
    ),
  )
  // The private value of a P-256 key in PKCS#8 (RFC 5915) begins at byte 36.
  const privateValue = der.subarray(36, 68)
  assert.ok(holdsTrace(der, privateValue))
  for (const path of [folder.serverKey, folder.caKey, folder.server, folder.ca]) {
    assert.ok(!holdsTrace(readFileSync(path), privateValue), path)
  }
  writeFileSync(folder.caKey, readFileSync(folder.serverKey))
  await assert.rejects(files.authority(), { code: 'value-damaged' })
})
