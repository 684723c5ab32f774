import assert from 'node:assert/strict'
import { chmodSync, cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DatastoreFolder, Host, Reconciliation, System, Vm } from '@cryptvisor/control-plane-api'
import { programPath } from '@cryptvisor/lab'
import { freePort } from '@cryptvisor/testkit'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, run, sha256, succeed } from './lab-under-test.ts'

const mib = 1_048_576
const hosts = ['host-a', 'host-b'] as const

/** A VM out of a fresh image, encrypted or not; gives the image's SHA-256. */
async function importVm(lab: LabUnderTest, name: string, encrypted: boolean): Promise<string> {
  const image = lab.path(`${name}.img`)
  makeRawImage(image, 4 * mib, knownText())
  await lab.json('vm', 'import', name, '--disk', image, '--host', 'host-a')
  if (encrypted) await lab.json('vm', 'encrypt', name)
  return sha256(image)
}

async function allConnected(lab: LabUnderTest): Promise<void> {
  await eventually('the hosts to be connected', async () => {
    const found = await lab.json<Host[]>('host', 'list')
    return found.every(({ connection }) => connection === 'connected') || null
  })
}

/** Runs the control plane's own program. */
const controlPlane = (...args: readonly string[]) => run(process.execPath, [programPath('control-plane'), ...args])

test('a control plane that is lost is restored from its backup elsewhere: every VM is found again, bit for bit', async (context) => {
  const lab = await LabUnderTest.start(context)
  const sums = new Map<string, string>()
  for (const [name, encrypted] of [
    ['web', true],
    ['plain', false],
    ['gone', true],
  ] as const) {
    sums.set(name, await importVm(lab, name, encrypted))
  }
  const backup = lab.path('cp.backup')
  await lab.json('system', 'backup', '--out', backup)
  const before = await lab.json<System>('system', 'show')
  assert.notEqual(before.backup.lastBackupAt, null)

  // What the backup does not know of.
  await lab.json('vm', 'rekey', 'web')
  await lab.json('vm', 'encrypt', 'plain')
  sums.set('later', await importVm(lab, 'later', true))
  await lab.json('vm', 'delete', 'gone')
  const [webKey, laterKey] = [(await lab.vm('web')).home.key, (await lab.vm('later')).home.key]

  // The control plane is lost, all but its backup and its root key.
  const data = lab.lab.places.data('control-plane')
  await lab.lab.stop('control-plane', 'SIGKILL')
  const old = lab.path('old-control-plane')
  cpSync(data, old, { recursive: true })
  rmSync(data, { recursive: true })
  const rootKey = join(lab.lab.places.rootKeys, 'control-plane.key')
  const verified = await controlPlane('verify-backup', '--from', backup, '--ca', join(old, 'ca.pem'))
  assert.equal(verified.exitCode, 0, verified.stderr)
  const { hostsPort } = JSON.parse(readFileSync(join(old, 'config.json'), 'utf8')) as { hostsPort: number }
  const newHostsPort = String(await freePort())
  const restored = await controlPlane(
    ...['restore', '--dir', data, '--from', backup, '--root-key-file', rootKey, '--hosts-port', newHostsPort],
  )
  assert.equal(restored.exitCode, 0, restored.stderr)
  assert.match(restored.stderr, /set-control-plane/)
  await lab.lab.start('control-plane')

  // Hosts are told where it is now; they start without keys, as after an outage of everything.
  for (const name of hosts) {
    await lab.lab.stop(name)
    const url = `https://127.0.0.1:${newHostsPort}`
    const args = ['set-control-plane', '--dir', lab.lab.places.data(name), '--url', url]
    await succeed(process.execPath, [programPath('host-agent'), ...args])
    await lab.lab.start(name)
  }
  await allConnected(lab)
  const system = await lab.json<System>('system', 'show')
  assert.equal(system.installationId, before.installationId)
  assert.ok(system.epoch > before.epoch && system.onHold)
  assert.equal((await lab.events('--type', 'system.restored')).length, 1)

  const report = await lab.json<Reconciliation>('vm', 'reconcile')
  assert.deepEqual(
    report.vms.map(({ vm, state }) => [vm, state]),
    [
      ['gone', 'missing'],
      ['plain', 'newer'],
      ['web', 'newer'],
    ],
  )
  const folders = await lab.json<DatastoreFolder[]>('datastore', 'browse', 'lab')
  assert.deepEqual(
    folders.filter(({ registeredAs }) => registeredAs === null).map(({ folder }) => folder),
    ['later'],
  )
  for (const name of ['web', 'plain']) await lab.json<Vm>('vm', 'reconcile', name, '--accept')
  await lab.json('vm', 'unregister', 'gone')
  await lab.json('vm', 'register', 'lab', 'later', '--host', 'host-a')
  assert.deepEqual([(await lab.vm('web')).home.key, (await lab.vm('later')).home.key], [webKey, laterKey])
  const settled = await lab.json<System>('system', 'settle')
  assert.equal(settled.onHold, false)
  assert.ok((await lab.json<Reconciliation>('vm', 'reconcile')).vms.every(({ state }) => state === 'same'))

  for (const name of ['web', 'plain', 'later']) {
    assert.equal((await lab.vm(name)).lock.state, 'unlocked', name)
    await lab.json('vm', 'decrypt', name)
    const [disk] = (await lab.vm(name)).disks
    assert.equal(await sha256(disk?.path ?? ''), sums.get(name), `${name} is what was imported`)
  }

  // The old one comes back by mistake, where the hosts looked for it before.
  await lab.lab.stop('control-plane')
  rmSync(data, { recursive: true })
  cpSync(old, data, { recursive: true })
  chmodSync(data, 0o700)
  await lab.lab.start('control-plane')
  for (const name of ['host-b'] as const) {
    await lab.lab.stop(name)
    const args = ['set-control-plane', '--dir', lab.lab.places.data(name), '--url', `https://127.0.0.1:${hostsPort}`]
    await succeed(process.execPath, [programPath('host-agent'), ...args])
    await lab.lab.start(name)
  }
  await eventually('the old control plane to learn that it was replaced', async () => {
    const { checks } = await lab.json<System>('system', 'show')
    return checks.some(({ name, ok }) => name === 'epoch' && !ok) || null
  })
  assert.ok((await lab.json<Host[]>('host', 'list')).every(({ connection }) => connection === 'disconnected'))
})
