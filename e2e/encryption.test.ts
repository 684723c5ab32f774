import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Host, Vm } from '@cryptvisor/control-plane-api'
import { recoveryScript } from '@cryptvisor/lab'
import { filesWithText } from '@cryptvisor/testkit'
import { knownText, makeQcow2Image, makeRawImage } from './image.ts'
import { LabUnderTest, sha256, succeed } from './lab-under-test.ts'

const mib = 1_048_576

/** Recovers a disk as docs/recovery.md says, with the control plane's identity at the key server. */
async function recover(lab: LabUnderTest, disk: string, out: string): Promise<void> {
  const { host, port, ca, controlPlaneCert, controlPlaneKey } = lab.description.keyServer
  const script = recoveryScript('recover-disk.sh')
  await succeed('sh', ['-s', disk, out, host, String(port), ca, controlPlaneCert, controlPlaneKey], script)
}

const diskOf = (vm: Vm, number: number) => {
  const disk = vm.disks.find((each) => each.number === number)
  assert.ok(disk, `disk ${number} is there`)
  return disk
}

test('raw and qcow2 disks of one VM, there and back', async (context) => {
  const lab = await LabUnderTest.start(context)
  const text = knownText()
  const raw = lab.path('raw.img')
  // Sectors that fill no chunk.
  makeRawImage(raw, 8 * mib + 3 * 512, text)
  const whole = lab.path('whole.img')
  makeRawImage(whole, 24 * mib, text)
  const qcow2 = lab.path('disk.qcow2')
  await makeQcow2Image(whole, qcow2)
  const sums = [await sha256(raw), await sha256(qcow2)]

  await context.test('an image that is not whole sectors is refused, and nothing is left of its VM', async () => {
    const odd = lab.path('odd.img')
    makeRawImage(odd, 700, text)
    const { exitCode, stderr } = await lab.cryptvisor('vm', 'import', 'odd', '--disk', odd)
    assert.equal(exitCode, 2)
    assert.match(stderr, /700 bytes[\s\S]*truncate -s %512 /)
    assert.deepEqual(readdirSync(lab.description.datastore), [])
  })

  await lab.json('vm', 'import', 'web', '--disk', raw, '--disk', qcow2, '--notes', text)
  const plain = await lab.vm('web')
  await context.test('an import is there bit for bit', async () => {
    assert.equal(plain.encryption, 'plain')
    assert.deepEqual(
      plain.disks.map(({ format }) => format),
      ['raw', 'qcow2'],
    )
    assert.deepEqual(await Promise.all(plain.disks.map(({ path }) => sha256(path))), sums)
    assert.equal(diskOf(plain, 1).sizeBytes, 24 * mib)
    assert.notDeepEqual(await filesWithText(lab.description.datastore, text), [])
  })

  await lab.json('vm', 'encrypt', 'web')
  const encrypted = await lab.vm('web')
  await context.test('encrypted, the known text is nowhere and the plain files are gone', async () => {
    assert.equal(encrypted.encryption, 'encrypted')
    assert.equal(encrypted.lock.state, 'unlocked')
    assert.deepEqual(await filesWithText(lab.description.datastore, text), [])
    for (const { path } of plain.disks) assert.ok(!existsSync(path), path)
    const names = readdirSync(encrypted.path, { recursive: true }).map(String)
    assert.ok(names.includes('vm.json') && names.includes('vm.keysafe'))
    assert.deepEqual(
      names.filter((name) => /\.(raw|qcow2|json)$/.test(name) && name !== 'vm.json'),
      [],
    )
  })

  await context.test('cryptsetup and qemu-img find LUKS1 with the UUID that the product shows', async () => {
    for (const disk of encrypted.disks) {
      const dump = await succeed('/sbin/cryptsetup', ['luksDump', disk.path])
      assert.match(dump, /^Version:\s+1$/m)
      assert.match(dump, /^Cipher name:\s+aes$/m)
      assert.match(dump, /^Cipher mode:\s+xts-plain64$/m)
      assert.match(dump, /^MK bits:\s+512$/m)
      assert.ok(dump.includes(disk.luksUuid ?? 'none'), 'the UUID')
      const info = JSON.parse(await succeed('qemu-img', ['info', '--output=json', disk.path])) as { format: string }
      assert.equal(info.format, 'luks')
    }
  })

  await context.test('standard tools recover both disks', async () => {
    const out = lab.path('recovered.img')
    await recover(lab, diskOf(encrypted, 0).path, out)
    assert.equal(await sha256(out), sums[0])
    await recover(lab, diskOf(encrypted, 1).path, out)
    assert.equal(await sha256(out), await sha256(whole))
  })

  await context.test('standard tools recover VM Home', async () => {
    const { host, port, ca, controlPlaneCert, controlPlaneKey } = lab.description.keyServer
    const details = JSON.parse(
      await succeed(
        '/usr/bin/python3',
        ['-', encrypted.path, host, String(port), ca, controlPlaneCert, controlPlaneKey],
        recoveryScript('recover-home.py'),
      ),
    ) as { notes: string }
    assert.equal(details.notes, text)
  })

  await context.test('one key for VM Home and both disks, with its six labels, known to both hosts', async () => {
    const key = encrypted.home.key
    assert.ok(key)
    assert.deepEqual(
      encrypted.disks.map((disk) => disk.key),
      [key, key],
    )
    const found = (await lab.keys()).find(({ keyId }) => keyId === key.keyId)
    assert.ok(found)
    assert.equal(found.state, 'Active')
    assert.deepEqual([found.algorithm, found.lengthBits], ['AES', 256])
    assert.deepEqual(found.usedBy, [{ kind: 'vm', id: encrypted.id, name: 'web' }])
    const labels = Object.fromEntries(
      found.attributes.filter(({ name }) => name.startsWith('x-')).map(({ name, value }) => [name, value]),
    )
    const version = labels['x-Product_Version']
    assert.equal(typeof version, 'string')
    assert.deepEqual(labels, {
      'x-Vendor': 'Cryptvisor',
      'x-Product': 'Cryptvisor',
      'x-Product_Version': version,
      'x-Component': 'Virtual Machine',
      'x-Name': 'web',
      'x-Identifier': encrypted.id,
    })
  })

  await context.test('each host has a labelled key of its own', async () => {
    const hosts = await lab.json<Host[]>('host', 'list')
    const keys = await lab.keys()
    for (const host of hosts) {
      assert.equal(host.cryptoState, 'safe')
      const key = keys.find(({ keyId }) => keyId === host.hostKey?.keyId)
      const label = (name: string) => key?.attributes.find((attribute) => attribute.name === name)?.value
      assert.equal(label('x-Component'), 'ESXi Server')
      assert.equal(label('x-Name'), host.name)
      assert.equal(label('x-Identifier'), host.hardwareUuid)
    }
    assert.equal(new Set(hosts.map(({ hardwareUuid }) => hardwareUuid)).size, hosts.length)
  })

  await context.test('VM Home stays while a disk is encrypted, and nothing changes', async () => {
    const { exitCode, stderr } = await lab.cryptvisor('vm', 'decrypt', 'web', '--home')
    assert.equal(exitCode, 1)
    assert.match(stderr, /disk/)
    assert.deepEqual(await lab.vm('web'), encrypted)
  })

  await context.test('one disk, then all that is left: bit for bit', async () => {
    await lab.json('vm', 'decrypt', 'web', '--disk', '1')
    const partly = await lab.vm('web')
    assert.equal(partly.encryption, 'partial')
    assert.deepEqual(
      partly.disks.map((disk) => disk.encrypted),
      [true, false],
    )
    assert.ok(partly.home.encrypted)
    assert.equal(await sha256(diskOf(partly, 1).path), sums[1])
    await lab.json('vm', 'decrypt', 'web')
    const decrypted = await lab.vm('web')
    assert.equal(decrypted.encryption, 'plain')
    assert.deepEqual(await Promise.all(decrypted.disks.map(({ path }) => sha256(path))), sums)
    for (const { path } of encrypted.disks) assert.ok(!existsSync(path), path)
    assert.ok(!existsSync(join(decrypted.path, 'vm.keysafe')))
  })

  await context.test('encrypted again, it has another key', async () => {
    await lab.json('vm', 'encrypt', 'web')
    assert.notEqual((await lab.vm('web')).home.key?.keyId, encrypted.home.key?.keyId)
  })
})
