import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Vm } from '@cryptvisor/control-plane-api'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { type LoggedIn, logIn } from '@cryptvisor/lab'
import { RestClient } from '@cryptvisor/rest'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest } from './lab-under-test.ts'

const mib = 1_048_576
const password = 'correct horse battery staple'

/** A client of the control plane, logged in as `user`. */
function clientOf(lab: LabUnderTest, user: string): Promise<LoggedIn> {
  const { url, ca } = lab.description.controlPlane
  return logIn(url, ca, user, password)
}

test('who has no Cryptographer privilege can run VMs and touch no key', async (context) => {
  const lab = await LabUnderTest.start(context)
  const passwordFile = lab.path('password')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  for (const [user, role] of [
    ['nora', 'NoCryptoAdmin'],
    ['rita', 'ReadOnly'],
  ] as const) {
    await lab.json('user', 'add', user, '--role', role, '--password-file', passwordFile)
  }
  const image = lab.path('disk.img')
  makeRawImage(image, 2 * mib, knownText())
  await lab.json('vm', 'import', 'plain', '--disk', image)
  await lab.json('vm', 'import', 'secret', '--disk', image)
  await lab.json('vm', 'encrypt', 'secret')
  const before: Vm[] = [await lab.vm('plain'), await lab.vm('secret')]
  const denied = (privilege: string) => (error: { status?: number; message: string }) => {
    assert.equal(error.status, 403)
    assert.ok(error.message.split(/[\s,:;]+/).includes(privilege), error.message)
    return true
  }

  await using nora = await clientOf(lab, 'nora')
  await assert.rejects(
    nora.client.changePolicy('plain', { policy: 'VM Encryption Policy' }),
    denied('Cryptographer.Encrypt'),
  )
  await assert.rejects(
    nora.client.changePolicy('secret', { policy: 'Datastore Default' }),
    denied('Cryptographer.Decrypt'),
  )
  await assert.rejects(
    nora.client.createVm({ name: 'x', policy: 'VM Encryption Policy' }),
    denied('Cryptographer.EncryptNew'),
  )
  await assert.rejects(nora.client.keys(), denied('Cryptographer.ManageKeys'))
  await assert.rejects(nora.client.setDefaultKeyProvider('lab-kms'), denied('Cryptographer.ManageKeyServers'))
  await assert.rejects(
    nora.client.createEnrolmentToken({ name: 'x', cluster: 'lab' }),
    denied('Cryptographer.RegisterHost'),
  )
  await assert.rejects(nora.client.unlockVm('secret'), denied('Cryptographer.RegisterVM'))
  assert.equal((await nora.client.vms()).vms.length, 2)
  await nora.client.createCluster({ name: 'second' })

  await using rita = await clientOf(lab, 'rita')
  assert.equal((await rita.client.vms()).vms.length, 2)
  await assert.rejects(rita.client.createCluster({ name: 'third' }), denied('Host.Inventory.CreateCluster'))
  await assert.rejects(rita.client.deleteVm('plain'), denied('VirtualMachine.Inventory.Delete'))

  assert.deepEqual([await lab.vm('plain'), await lab.vm('secret')], before)
})

test('nobody gets in without logging in, and a wrong password says nothing', async (context) => {
  const lab = await LabUnderTest.start(context)
  const { url, ca, user } = lab.description.controlPlane
  await using rest = new RestClient({ url, ca: readFileSync(ca, 'utf8') })
  const client = new ControlPlaneClient(rest)
  await assert.rejects(client.vms(), { status: 401 })
  const texts: string[] = []
  for (const name of [user, 'nobody-of-that-name']) {
    await assert.rejects(
      client.login({ user: name, password: 'not the password' }),
      (error: { status?: number; message: string }) => {
        assert.equal(error.status, 401)
        texts.push(error.message)
        return true
      },
    )
  }
  assert.equal(texts[0], texts[1])
})
