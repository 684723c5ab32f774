import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type {
  Approval,
  CoverageReport,
  ErasureCertificate,
  KeyOrphanList,
  KeyRequested,
  KeyUsageGraph,
  RetiredKey,
  Task,
  Vm,
} from '@cryptvisor/control-plane-api'
import { keyProviderOf, logIn } from '@cryptvisor/lab'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest } from './lab-under-test.ts'

const password = 'correct horse battery staple'

test('keys live and die: users, orphans, destruction, a second user’s approval, the erasure of a VM', async (context) => {
  const lab = await LabUnderTest.start(context)
  const passwordFile = lab.path('password')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  await lab.json('user', 'add', 'eve', '--role', 'Admin', '--password-file', passwordFile)
  const image = lab.path('disk.img')
  makeRawImage(image, 2_097_152, knownText())
  await lab.json('vm', 'import', 'web', '--disk', image)
  await lab.json('vm', 'encrypt', 'web')
  const old = (await lab.vm('web')).home.key
  await lab.json('vm', 'rekey', 'web')
  const key = (await lab.vm('web')).home.key
  assert.ok(old !== null && key !== null)
  const nameOf = ({ provider, keyId }: typeof key) => `${provider}/${keyId}`

  // Who uses it, and what a key in use answers to whoever wants to destroy it.
  const graph = await lab.json<KeyUsageGraph>('keys', 'users', nameOf(key))
  assert.deepEqual(
    graph.nodes.map(({ kind, name }) => `${kind} ${name}`),
    [`key ${nameOf(key)}`, 'vm web', 'vm-home VM Home', 'disk disk 0'],
  )
  const refused = await lab.cryptvisor('keys', 'destroy', nameOf(key))
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /VM web \(VM Home, disk 0\)/)

  // A retired key can be taken back, then goes.
  const retired = await lab.json<RetiredKey[]>('keys', 'retired')
  assert.deepEqual(retired.map(nameOf), [nameOf(old)])
  const scheduled = await lab.json<KeyRequested>('keys', 'destroy', nameOf(old))
  assert.equal(scheduled.order?.state, 'scheduled')
  assert.equal((await lab.cryptvisor('keys', 'restore', nameOf(old))).exitCode, 0)
  const dry = await lab.cryptvisor('keys', 'destroy', nameOf(old), '--after', '0', '--dry-run')
  assert.equal(dry.exitCode, 0, dry.stderr)
  {
    await using kms = keyProviderOf(lab.description, 'control-plane')
    assert.equal((await kms.describeKey(old.keyId))?.state, 'Active', 'taken back, and only rehearsed')
    assert.equal((await lab.json<KeyRequested>('keys', 'destroy', nameOf(old), '--after', '0')).order?.state, 'done')
    assert.equal((await kms.describeKey(old.keyId))?.state, 'Destroyed')

    // A key whose making was answered to nobody, and one of somebody else.
    const lost = await kms.createKey()
    const foreign = await kms.createKey()
    await kms.labelKey(foreign, { 'x-Identifier': 'elsewhere', 'x-Name': 'theirs' })
    const { orphans } = await lab.json<KeyOrphanList>('keys', 'orphans')
    assert.deepEqual(
      orphans.map(({ keyId, kind, disposable }) => [keyId, kind, disposable]).toSorted(),
      [
        [lost, 'unanswered', false],
        [foreign, 'foreign', false],
      ].toSorted(),
    )
    const anybodys = await lab.cryptvisor('keys', 'destroy', `lab-kms/${lost}`, '--dry-run')
    assert.equal(anybodys.exitCode, 1)
    assert.match(anybodys.stderr, /on record nowhere, and no label says what it is for/)
    const careful = await lab.cryptvisor('keys', 'destroy', `lab-kms/${foreign}`)
    assert.equal(careful.exitCode, 1)
    assert.match(careful.stderr, /«theirs» \(elsewhere\), which is not here/)
  }

  // The VM is erased when a second user says so, not before.
  const asked = await lab.json<Approval>('vm', 'erase', 'web', '--confirm', 'web', '--reason', 'end of contract')
  const own = await lab.cryptvisor('approval', 'approve', asked.id, '--seal', asked.digest.slice(0, 16))
  assert.equal(own.exitCode, 1)
  assert.match(own.stderr, /somebody else has to approve it/)
  // Who could log in as the second user is not another person.
  writeFileSync(passwordFile, `${password} anew\n`, { mode: 0o600 })
  await lab.json('user', 'change', 'eve', '--password-file', passwordFile)
  const { url, ca } = lab.description.controlPlane
  {
    await using posing = await logIn(url, ca, 'eve', `${password} anew`)
    await assert.rejects(
      posing.client.approve(asked.id, { digest: asked.digest }),
      /eve cannot approve .* since one person could be both: admin set the password of eve/,
    )
  }
  await lab.json('approval', 'withdraw', asked.id)
  const approval = await lab.json<Approval>('vm', 'erase', 'web', '--confirm', 'web', '--reason', 'end of contract')
  await using eve = await logIn(url, ca, 'eve', `${password} anew`)
  const { task } = await eve.client.approve(approval.id, { digest: approval.digest })
  assert.equal((await lab.json<Task>('task', 'watch', task ?? '')).state, 'success')
  assert.deepEqual(await lab.json<Vm[]>('vm', 'list'), [])
  const statement = lab.path('web.jws.json')
  await lab.json('vm', 'erase-certificate', 'show', 'web', '--format', 'jws', '--out', statement)
  const certificate = await lab.json<ErasureCertificate>('vm', 'erase-certificate', 'verify', statement, '--ca', ca)
  assert.deepEqual(certificate.keys.map(nameOf).toSorted(), [nameOf(old), nameOf(key)].toSorted())
  assert.ok(certificate.keys.every(({ answer }) => answer === 'Destroyed'))
  assert.deepEqual(
    certificate.hosts.map(({ name, outcome }) => `${name} ${outcome}`),
    ['host-a confirmed', 'host-b confirmed'],
  )
  writeFileSync(statement, readFileSync(statement, 'utf8').replace(/"payload": "(.)/, '"payload": "_'))
  assert.equal((await lab.cryptvisor('vm', 'erase-certificate', 'verify', statement, '--ca', ca)).exitCode, 1)

  const report = await lab.json<CoverageReport>('report', 'coverage')
  assert.equal(report.totals.vms, 0)
})
