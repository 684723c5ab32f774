import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Event, Host, Vm } from '@cryptvisor/control-plane-api'
import { keyProviderOf } from '@cryptvisor/lab'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, sha256, succeed } from './lab-under-test.ts'

const mib = 1_048_576

/** The newest event of that type that names the VM; fails when there is none. */
async function eventOf(lab: LabUnderTest, type: string, vm: string): Promise<Event> {
  const found = (await lab.events('--type', type)).find((event) => event.vm === vm)
  assert.ok(found, `an event ${type} names ${vm}`)
  assert.deepEqual(
    ['time', 'host', 'vm', 'provider', 'keyId', 'text'].filter((name) => !(name in found)),
    [],
  )
  assert.ok(!Number.isNaN(Date.parse(found.time)))
  return found
}

/** Everything of a VM that an operation which fails must leave as it was. */
async function stateOf(lab: LabUnderTest, name: string): Promise<unknown> {
  // Whether it complies is not known while it is locked.
  const { task: _task, lock: _lock, compliance: _compliance, ...vm } = await lab.vm(name)
  const files = (await succeed('find', [vm.path, '-type', 'f', '-printf', '%P\n'])).split('\n').toSorted()
  return { vm, files, sums: await Promise.all(vm.disks.map(({ path }) => sha256(path))) }
}

async function importVm(lab: LabUnderTest, name: string, ...options: readonly string[]): Promise<Vm> {
  const image = lab.path(`${name}.img`)
  makeRawImage(image, 4 * mib, knownText())
  await lab.json('vm', 'import', name, '--disk', image, ...options)
  return lab.vm(name)
}

/** Makes an agent one that cannot encrypt, or can again. */
async function setCrypto(
  lab: LabUnderTest,
  host: 'host-a' | 'host-b',
  crypto: 'supported' | 'unsupported',
): Promise<void> {
  await lab.lab.stop(host)
  const path = join(lab.folder, host, 'config.json')
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  writeFileSync(path, JSON.stringify({ ...config, crypto }))
  await lab.lab.start(host)
  await eventually(`${host} to connect`, async () => {
    const hosts = await lab.json<Host[]>('host', 'list')
    return hosts.some(({ name, connection }) => name === host && connection === 'connected') || null
  })
}

test('the key server cannot be reached: all is as it was, and an event says so', async (context) => {
  const lab = await LabUnderTest.start(context)
  const vm = await importVm(lab, 'web')
  const before = await stateOf(lab, 'web')
  await lab.lab.stop('key-server')
  const { exitCode, stdout, stderr } = await lab.cryptvisor('vm', 'encrypt', 'web')
  assert.equal(exitCode, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /lab-kms/)
  assert.deepEqual(await stateOf(lab, 'web'), before)
  const event = await eventOf(lab, 'kms.crypto.connection-error', 'web')
  assert.deepEqual([event.host, event.provider], [vm.host, 'lab-kms'])

  await lab.lab.start('key-server')
  await lab.json('vm', 'encrypt', 'web')
  assert.equal((await lab.vm('web')).encryption, 'encrypted')
})

test('the VM’s own host cannot take keys: all is as it was, the key is destroyed, and an event says so', async (context) => {
  const lab = await LabUnderTest.start(context)
  await setCrypto(lab, 'host-a', 'unsupported')
  await importVm(lab, 'web', '--host', 'host-a')
  const before = await stateOf(lab, 'web')
  const { exitCode } = await lab.cryptvisor('vm', 'encrypt', 'web')
  assert.equal(exitCode, 1)
  assert.deepEqual(await stateOf(lab, 'web'), before)
  const event = await eventOf(lab, 'host.crypto.send-key-error', 'web')
  assert.deepEqual([event.host, event.provider], ['host-a', 'lab-kms'])
  const unused = (await lab.keys()).filter(({ usedBy }) => usedBy.length === 0)
  assert.deepEqual(
    unused.filter(({ state }) => state !== 'Destroyed'),
    [],
    'no KEK is left that wraps nothing',
  )
  assert.ok(event.keyId === null || unused.some(({ keyId }) => keyId === event.keyId))
})

test('another host cannot take keys: an event says so, and the task goes on', async (context) => {
  const lab = await LabUnderTest.start(context)
  await setCrypto(lab, 'host-b', 'unsupported')
  await importVm(lab, 'web', '--host', 'host-a')
  await lab.json('vm', 'encrypt', 'web')
  const vm = await lab.vm('web')
  assert.equal(vm.encryption, 'encrypted')
  const event = await eventOf(lab, 'host.crypto.send-key-error', 'web')
  assert.deepEqual([event.host, event.provider, event.keyId], ['host-b', 'lab-kms', vm.home.key?.keyId])
})

test('a host that missed a key is given it when it is back', async (context) => {
  const lab = await LabUnderTest.start(context)
  await importVm(lab, 'web', '--host', 'host-a')
  await lab.lab.stop('host-b')
  await lab.json('vm', 'encrypt', 'web')
  await eventOf(lab, 'host.crypto.send-key-error', 'web')
  await lab.lab.start('host-b')
  await eventually('the keys to be sent to host-b', async () => {
    const sent = await lab.events('--type', 'host.crypto.keys-sent', '--host', 'host-b')
    return sent.length > 0 || null
  })
})

test('a key that is gone: the VM is locked with its reason, unlocking and decrypting leave all as it was', async (context) => {
  const lab = await LabUnderTest.start(context)
  await importVm(lab, 'web', '--host', 'host-a')
  await lab.json('vm', 'encrypt', 'web')
  const vm = await lab.vm('web')
  const keyId = vm.home.key?.keyId ?? ''
  const before = await stateOf(lab, 'web')
  {
    await using kmip = keyProviderOf(lab.description, 'control-plane')
    await kmip.revokeKey(keyId, 'cessation-of-operation')
    await kmip.destroyKey(keyId)
  }
  await lab.lab.stop('host-a')
  await lab.lab.start('host-a')
  const locked = await eventually('the VM to be locked', async () => {
    const { lock } = await lab.vm('web')
    return lock.state === 'locked' ? lock : null
  })
  assert.deepEqual(locked.missingKeys, [vm.home.key])
  const event = await eventOf(lab, 'kms.crypto.key-missing', 'web')
  assert.deepEqual([event.host, event.provider, event.keyId], ['host-a', 'lab-kms', keyId])

  for (const args of [
    ['vm', 'unlock', 'web'],
    ['vm', 'decrypt', 'web'],
    ['vm', 'decrypt', 'web', '--disk', '0'],
  ]) {
    const { exitCode, stderr } = await lab.cryptvisor(...args)
    assert.equal(exitCode, 1, args.join(' '))
    assert.match(stderr, new RegExp(keyId), args.join(' '))
  }
  assert.deepEqual(await stateOf(lab, 'web'), before)
})

test('the key server is away when a host starts: locked, and unlocked by itself when it is back', async (context) => {
  const lab = await LabUnderTest.start(context)
  await importVm(lab, 'web', '--host', 'host-a')
  await lab.json('vm', 'encrypt', 'web')
  await lab.lab.stop('key-server')
  await lab.lab.stop('host-a')
  await lab.lab.start('host-a')
  await eventually('the VM to be locked', async () => ((await lab.vm('web')).lock.state === 'locked' ? true : null))
  await eventOf(lab, 'kms.crypto.connection-error', 'web')
  await lab.lab.start('key-server')
  await eventually('the VM to be unlocked', async () => ((await lab.vm('web')).lock.state === 'unlocked' ? true : null))
  await eventOf(lab, 'vm.crypto.unlocked', 'web')
})
