import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type {
  CertificateEntry,
  ExposedKey,
  Host,
  RebootCheckList,
  Task,
  UsedKeyHealth,
} from '@cryptvisor/control-plane-api'
import { keyProviderOf } from '@cryptvisor/lab'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest } from './lab-under-test.ts'

const host = (lab: LabUnderTest, name: string) => lab.json<Host>('host', 'show', name)

const certificateOf = (lab: LabUnderTest, name: string) =>
  readFileSync(join(lab.folder, name, 'identity.pem'), 'utf8').split('-----BEGIN PRIVATE KEY-----')[0]

test('hosts by the command line: read back, preflight, host keys, disabling, leaving, certificates', async (context) => {
  const lab = await LabUnderTest.start(context)
  makeRawImage(lab.path('web.img'), 4 * 1_048_576, knownText())
  await lab.json('vm', 'import', 'web', '--disk', lab.path('web.img'), '--host', 'host-a')
  await lab.json('vm', 'encrypt', 'web')
  const keyId = (await lab.vm('web')).home.key?.keyId ?? ''

  await context.test('all keys are good, and the host can be restarted', async () => {
    const found = await lab.json<UsedKeyHealth[]>('keys', 'verify', '--all')
    assert.ok(found.some((key) => key.keyId === keyId && key.state === 'good' && key.vms.includes('web')))
    const { verdict, checks } = await lab.json<RebootCheckList>('host', 'check-reboot', '--cluster', 'lab')
    assert.equal(verdict, 'safe')
    assert.deepEqual(
      checks.map(({ obtainableCount, neededCount }) => obtainableCount === neededCount),
      [true, true],
    )
  })

  await context.test('a host gets another host key; the old one stays at the key server', async () => {
    const before = (await host(lab, 'host-b')).hostKey
    await lab.json<Task>('host', 'rekey', 'host-b')
    const after = (await host(lab, 'host-b')).hostKey
    assert.notDeepEqual(after, before)
    const old = (await lab.keys()).find((key) => key.keyId === before?.keyId)
    assert.equal(old?.state, 'Active')
    assert.equal((await lab.events('--type', 'host.crypto.host-key-changed')).length, 1)
  })

  await context.test('encryption is disabled on a host without encrypted VMs, and enabled again', async () => {
    const refused = await lab.cryptvisor('host', 'crypto', 'disable', 'host-a')
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /web/)
    await lab.json('host', 'crypto', 'disable', 'host-b')
    assert.equal((await host(lab, 'host-b')).cryptoState, 'incapable')
    await lab.json('host', 'crypto', 'enable', 'host-b')
    assert.equal((await host(lab, 'host-b')).cryptoState, 'safe')
  })

  await context.test('a host renews its certificate over its session, and comes again with it', async () => {
    const before = certificateOf(lab, 'host-a')
    const kept = await host(lab, 'host-a')
    await lab.json('host', 'renew-certificate', 'host-a')
    await eventually('the new certificate', async () => {
      const told = await lab.events('--type', 'host.certificate-renewed', '--host', 'host-a')
      return told.length > 0 || null
    })
    assert.notEqual(certificateOf(lab, 'host-a'), before)
    const again = await eventually('host-a to be back', async () => {
      const now = await host(lab, 'host-a')
      return now.connection === 'connected' ? now : null
    })
    assert.deepEqual([again.id, again.hostKey, again.url], [kept.id, kept.hostKey, kept.url])
    const check = await lab.json<RebootCheckList>('host', 'check-reboot', 'host-a')
    assert.equal(check.verdict, 'safe')
    await lab.lab.stop('host-a')
    await lab.lab.start('host-a')
    await eventually('host-a to be back with its new certificate', async () => {
      return (await host(lab, 'host-a')).connection === 'connected' || null
    })
    const certificates = await lab.json<CertificateEntry[]>('certificate', 'list')
    assert.ok(certificates.some(({ what }) => what === 'host host-a'))
  })

  await context.test('a host that cannot confirm is decommissioned only when that is accepted', async () => {
    await lab.lab.stop('host-b')
    await eventually('host-b to be away', async () => (await host(lab, 'host-b')).connection === 'disconnected' || null)
    const refused = await lab.cryptvisor('host', 'decommission', 'host-b')
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /--accept-exposure/)
    await lab.json('host', 'decommission', 'host-b', '--accept-exposure')
    assert.notEqual((await host(lab, 'host-b')).decommissionedAt, null)
    const exposed = await lab.json<ExposedKey[]>('host', 'exposed-keys', 'host-b')
    assert.ok(exposed.some((key) => key.keyId === keyId && key.vms.includes('web')))
  })

  await context.test('a key destroyed behind our back is found before the restart that would need it', async () => {
    {
      await using kmip = keyProviderOf(lab.description, 'control-plane')
      await kmip.revokeKey(keyId, 'cessation-of-operation')
      await kmip.destroyKey(keyId)
    }
    const check = await lab.cryptvisor('host', 'check-reboot', 'host-a')
    assert.equal(check.exitCode, 1)
    assert.match(check.stdout, /VM web would stay locked/)
    assert.match(check.stderr, /do not restart now: host-a: \d of the \d keys/)
    const [event] = await lab.events('--type', 'kms.crypto.key-unavailable')
    assert.deepEqual([event?.vm, event?.keyId], ['web', keyId])
    assert.equal((await lab.vm('web')).lock.state, 'unlocked', 'what is open stays open')
    await lab.lab.stop('host-a')
    await lab.lab.start('host-a')
    const locked = await eventually('the VM to be locked', async () => {
      const { lock } = await lab.vm('web')
      return lock.state === 'locked' ? lock : null
    })
    assert.equal(locked.cause, 'key-missing-in-kms')
    assert.notEqual(locked.since, null)
    const { exitCode, stdout } = await lab.cryptvisor('vm', 'unlock', '--all')
    assert.equal(exitCode, 1)
    assert.match(stdout, /key-missing-in-kms/)
  })
})
