import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Disk, Host, Task, Vm } from '@cryptvisor/control-plane-api'
import { recoveryScript } from '@cryptvisor/lab'
import { filesWithText, temporaryFolder } from '@cryptvisor/testkit'
import { knownText, makeQcow2Image, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, run, sha256, succeed } from './lab-under-test.ts'

const mib = 1_048_576

const diskOf = (vm: Vm, number: number): Disk => {
  const disk = vm.disks.find((each) => each.number === number)
  assert.ok(disk, `disk ${number} is there`)
  return disk
}

/** Recovers a disk as docs/recovery.md says, without the product; gives the sum of its image. */
async function recovered(lab: LabUnderTest, disk: Disk): Promise<string> {
  const { host, port, ca, controlPlaneCert, controlPlaneKey } = lab.description.keyServer
  const out = lab.path(`recovered-${disk.layerId}.img`)
  const script = recoveryScript('recover-disk.sh')
  await succeed('sh', ['-s', disk.path, out, host, String(port), ca, controlPlaneCert, controlPlaneKey], script)
  return sha256(out)
}

/** Reads a disk out through the product; gives the sum of its image. */
async function exported(lab: LabUnderTest, vm: string, number: number): Promise<string> {
  const path = lab.path(`export-${vm}-${number}-${Date.now()}.img`)
  const { sha256: told } = await lab.json<{ sha256: string }>('disk', 'export', vm, String(number), path)
  assert.equal(await sha256(path), told)
  return told
}

/** The first ciphertext behind a LUKS1 header: it is the same as long as the volume key is. */
function ciphertextOf(path: string): string {
  const file = openSync(path, 'r')
  try {
    // In sectors, big-endian, at byte 104 of the header.
    const payloadOffset = readAt(file, 104, 4).readUInt32BE() * 512
    return readAt(file, payloadOffset, 4096).toString('hex')
  } finally {
    closeSync(file)
  }
}

function readAt(file: number, position: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  assert.equal(readSync(file, bytes, 0, sizeBytes, position), sizeBytes)
  return bytes
}

/** A lab with one encrypted VM `web` of a raw and a qcow2 disk; and the sums of what their guests see. */
async function startEncrypted(context: TestContext) {
  const lab = await LabUnderTest.start(context)
  const text = knownText()
  const raw = lab.path('raw.img')
  makeRawImage(raw, 6 * mib + 3 * 512, text)
  const whole = lab.path('whole.img')
  makeRawImage(whole, 8 * mib, text)
  const qcow2 = lab.path('disk.qcow2')
  await makeQcow2Image(whole, qcow2)
  await lab.json('vm', 'import', 'web', '--disk', raw, '--disk', qcow2, '--notes', text)
  await lab.json('vm', 'encrypt', 'web')
  return { lab, text, raw, whole, sums: [await sha256(raw), await sha256(whole)] as const }
}

test('an encrypted VM gets other keys, is cloned and is read out', async (context) => {
  const { lab, text, whole, sums } = await startEncrypted(context)
  const first = await lab.vm('web')
  const noText = async () => assert.deepEqual(await filesWithText(lab.description.datastore, text), [])

  await context.test('a shallow rekey changes the key and no data', async () => {
    const before = await Promise.all(first.disks.map(({ path }) => ciphertextOf(path)))
    const task = await lab.json<Task>('vm', 'rekey', 'web')
    const now = await lab.vm('web')
    assert.notDeepEqual(now.home.key, first.home.key)
    assert.deepEqual(
      now.disks.map(({ path, luksUuid, key }) => [path, luksUuid, key]),
      first.disks.map(({ path, luksUuid }) => [path, luksUuid, task.key]),
    )
    assert.deepEqual(await Promise.all(now.disks.map(({ path }) => ciphertextOf(path))), before)
    for (const [number, sum] of sums.entries()) assert.equal(await recovered(lab, diskOf(now, number)), sum)
    const [event] = await lab.events('--type', 'vm.crypto.rekeyed')
    assert.match(event?.text ?? '', /rekeyed \(shallow\)/)
    const old = (await lab.keys()).find(({ keyId }) => keyId === first.home.key?.keyId)
    assert.deepEqual([old?.state, old?.usedBy], ['Active', []])
  })

  await context.test('a deep rekey of one disk changes its volume key, and the old layer is gone', async () => {
    const before = await lab.vm('web')
    const old = diskOf(before, 0)
    const ciphertext = ciphertextOf(old.path)
    await lab.json('vm', 'rekey', 'web', '--deep', '--disk', '0')
    const now = await lab.vm('web')
    const disk = diskOf(now, 0)
    assert.notEqual(disk.luksUuid, old.luksUuid)
    assert.notEqual(ciphertextOf(disk.path), ciphertext)
    assert.ok(!existsSync(old.path))
    assert.deepEqual(diskOf(now, 1), diskOf(before, 1))
    assert.equal(await recovered(lab, disk), sums[0])
    await noText()
  })

  await context.test('the VM opens after its agent forgot everything', async () => {
    await lab.lab.stop('host-a', 'SIGKILL')
    await lab.lab.stop('host-b', 'SIGKILL')
    await lab.lab.start('host-a')
    await lab.lab.start('host-b')
    await eventually('that web is unlocked', async () =>
      (await lab.vm('web')).lock.state === 'unlocked' ? true : null,
    )
  })

  for (const keys of ['new', 'same'] as const) {
    await context.test(`a clone with ${keys} keys lives without the VM that it was made of`, async () => {
      const name = `clone-${keys}`
      await lab.json('vm', 'clone', 'web', name, '--keys', keys)
      const source = await lab.vm('web')
      const clone = await lab.vm(name)
      assert.equal(clone.encryption, 'encrypted')
      for (const [number, sum] of sums.entries()) {
        const [one, other] = [diskOf(source, number), diskOf(clone, number)]
        assert.notEqual(one.path, other.path)
        assert.equal(ciphertextOf(one.path) === ciphertextOf(other.path), keys === 'same')
        assert.equal(await recovered(lab, other), sum)
      }
      await noText()
    })
  }

  await context.test('a disk is read out, raw and as qcow2, and who did it is on record', async () => {
    for (const [number, sum] of sums.entries()) assert.equal(await exported(lab, 'web', number), sum)
    const path = lab.path('export.qcow2')
    await lab.json('disk', 'export', 'web', '1', path, '--format', 'qcow2')
    await succeed('qemu-img', ['check', '-q', '-f', 'qcow2', path])
    await succeed('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', path, whole])
    const events = await lab.events('--type', 'vm.disk-exported')
    assert.equal(events.length, 3)
    assert.ok(events.every(({ user, vm }) => user === lab.description.controlPlane.user && vm === 'web'))
    const { exitCode, stderr } = await lab.cryptvisor('disk', 'export', 'web', '1', path)
    assert.equal(exitCode, 2)
    assert.match(stderr, /is there already/)
  })

  await context.test('a header that was lost comes back from its backup', async () => {
    const path = lab.path('web-0.header')
    await lab.json('disk', 'header-backup', 'web', '0', path)
    const disk = diskOf(await lab.vm('web'), 0)
    const before = await sha256(disk.path)
    const file = openSync(disk.path, 'r+')
    writeSync(file, Buffer.alloc(2 * mib), 0, 2 * mib, 0)
    closeSync(file)
    await lab.cryptvisor('vm', 'unlock', 'web')
    const { lock } = await lab.vm('web')
    assert.equal(lock.state, 'locked')
    assert.match(lock.text ?? '', /LUKS/)
    const wrong = await lab.cryptvisor('disk', 'header-restore', 'web', '1', path)
    assert.equal(wrong.exitCode, 1)
    assert.match(wrong.stderr, /the header backup is of LUKS volume/)
    await lab.json('disk', 'header-restore', 'web', '0', path)
    assert.equal((await lab.vm('web')).lock.state, 'unlocked')
    assert.equal(await sha256(disk.path), before)
    assert.equal(await exported(lab, 'web', 0), sums[0])
    assert.equal((await lab.events('--type', 'vm.header-backed-up')).length, 1)
    assert.equal((await lab.events('--type', 'vm.header-restored')).length, 1)
  })

  await context.test('deleted with its source, a clone still opens', async () => {
    await lab.json('vm', 'delete', 'web')
    for (const name of ['clone-new', 'clone-same']) assert.equal(await exported(lab, name, 0), sums[0])
  })
})

test('LUKS volumes of others become disks', async (context) => {
  const lab = await LabUnderTest.start(context)
  const text = knownText()
  const passphrase = lab.path('passphrase')
  writeFileSync(passphrase, 'a passphrase of somebody', { mode: 0o600 })
  const plain = lab.path('plain.img')
  makeRawImage(plain, 6 * mib, text)
  const sum = await sha256(plain)
  const luks1 = lab.path('one.luks')
  await makeLuks1(plain, luks1, passphrase)
  const luks2 = lab.path('two.luks')
  copyFileSync(plain, luks2)
  // cryptsetup moves the data to make room for its header.
  truncateSync(luks2, 6 * mib + 32 * mib)
  await succeed('/sbin/cryptsetup', [
    ...['reencrypt', '--encrypt', '--type', 'luks2', '--batch-mode', '--reduce-device-size', '32M'],
    ...['--pbkdf', 'argon2id', '--pbkdf-memory', '32768', '--pbkdf-force-iterations', '4', '--pbkdf-parallel', '1'],
    ...['--key-file', passphrase, luks2],
  ])
  await lab.json('vm', 'create', 'web')

  await context.test('on a plain VM they are laid down plain', async () => {
    await lab.json('disk', 'import', 'web', luks1, '--luks', '--passphrase-file', passphrase)
    const disk = diskOf(await lab.vm('web'), 0)
    assert.equal(disk.encrypted, false)
    assert.equal(await exported(lab, 'web', 0), sum)
  })

  await context.test('a wrong passphrase leaves nothing', async () => {
    const wrong = lab.path('wrong')
    writeFileSync(wrong, 'another one', { mode: 0o600 })
    const before = readdirSync(lab.description.datastore, { recursive: true }).length
    const { exitCode, stderr } = await lab.cryptvisor(
      ...['disk', 'import', 'web', luks1, '--luks', '--passphrase-file', wrong],
    )
    assert.equal(exitCode, 1, stderr)
    assert.match(stderr, /passphrase/)
    assert.equal((await lab.vm('web')).disks.length, 1)
    assert.equal(readdirSync(lab.description.datastore, { recursive: true }).length, before)
  })

  await context.test('on an encrypted VM LUKS1 and LUKS2 are encrypted anew', async () => {
    await lab.json('vm', 'encrypt', 'web')
    for (const [number, path] of [
      [1, luks1],
      [2, luks2],
    ] as const) {
      await lab.json('disk', 'import', 'web', path, '--luks', '--passphrase-file', passphrase)
      const disk = diskOf(await lab.vm('web'), number)
      assert.equal(disk.encrypted, true)
      assert.notEqual(disk.luksUuid, (await succeed('/sbin/cryptsetup', ['luksUUID', path])).trim())
      const there = await exported(lab, 'web', number)
      // What cryptsetup made room with lies behind the data.
      if (number === 1) assert.equal(there, sum)
      assert.equal(await recovered(lab, disk), there)
    }
    assert.deepEqual(await filesWithText(lab.description.datastore, text), [])
  })

  await context.test('an adopted one keeps its data as they lie, and opens with our key alone', async () => {
    await lab.json('disk', 'import', 'web', luks1, '--luks', '--adopt', '--passphrase-file', passphrase)
    const disk = diskOf(await lab.vm('web'), 3)
    assert.equal(disk.luksUuid, (await succeed('/sbin/cryptsetup', ['luksUUID', luks1])).trim())
    assert.equal(ciphertextOf(disk.path), ciphertextOf(luks1))
    assert.equal(await exported(lab, 'web', 3), sum)
    const old = await run('/sbin/cryptsetup', ['open', '--test-passphrase', '--key-file', passphrase, disk.path])
    assert.notEqual(old.exitCode, 0, 'the old passphrase opens it no more')
    await lab.json('vm', 'rekey', 'web', '--deep', '--disk', '3')
    assert.equal(await exported(lab, 'web', 3), sum)
  })
})

test('a task is paused, slowed down, resumed and cancelled; thin disks are thin', async (context) => {
  const lab = await LabUnderTest.start(context)
  const text = knownText()
  const image = lab.path('raw.img')
  makeRawImage(image, 48 * mib, text)
  const sum = await sha256(image)
  await lab.json('vm', 'import', 'web', '--disk', image)
  const begin = async (...options: readonly string[]) => {
    const { id } = await lab.json<Task>('vm', 'encrypt', 'web', '--no-wait', '--limit', '1MiB/s', ...options)
    await eventually('the first bytes', async () => ((await task(id)).doneBytes > 0 ? true : null))
    return id
  }
  const task = (id: string) => lab.json<Task>('task', 'show', id)

  await context.test('what is paused moves nothing until it is resumed', async () => {
    const id = await begin()
    await lab.json('task', 'pause', id)
    const paused = await eventually('a pause', async () => {
      const [one, two] = [await task(id), await task(id)]
      return one.paused && one.doneBytes === two.doneBytes ? one : null
    })
    assert.equal(paused.rateBytesPerSecond, null)
    await lab.lab.stop('control-plane', 'SIGKILL')
    await lab.lab.start('control-plane')
    const after = await eventually('the same pause', async () => {
      const now = await task(id)
      return now.paused ? now : null
    })
    assert.equal(after.doneBytes, paused.doneBytes, 'nothing moved meanwhile')
    await lab.json('task', 'resume', id)
    await lab.json('task', 'limit', id, 'none')
    assert.equal((await lab.taskEnd(id)).state, 'success')
    assert.equal(await recovered(lab, diskOf(await lab.vm('web'), 0)), sum)
  })

  await context.test('a slow task that is cancelled leaves everything as it was', async () => {
    await lab.json('vm', 'decrypt', 'web', '--no-verify')
    const before = await lab.vm('web')
    const id = await begin()
    await lab.json('task', 'cancel', id)
    assert.equal((await lab.taskEnd(id)).state, 'cancelled')
    const after = await lab.vm('web')
    assert.deepEqual({ ...after, task: null }, { ...before, task: null })
    assert.equal(await sha256(diskOf(after, 0).path), sum)
  })

  await context.test('a thin disk takes no room for its hole, and is the same to its guest', async () => {
    await lab.json('vm', 'encrypt', 'web', '--thin')
    const disk = diskOf(await lab.vm('web'), 0)
    assert.equal(disk.format, 'qcow2')
    assert.ok(disk.payloadBytes < 44 * mib, `${disk.payloadBytes} bytes`)
    assert.equal(disk.sizeBytes, 48 * mib)
    assert.equal(await recovered(lab, disk), sum)
    assert.equal(await exported(lab, 'web', 0), sum)
  })
})

test('a block device is encrypted where it lies', async (context) => {
  const backing = await makeBacking(context, 2 * mib)
  const device = loopDevice(context, backing.path)
  if (device === null) return context.skip('no loop device can be made here')
  const tight = await makeBacking(context, 0)
  const other = loopDevice(context, tight.path)
  assert.ok(other !== null)
  const lab = await LabUnderTest.start(context)
  await lab.json('vm', 'create', 'web', '--host', 'host-a')
  const refused = await lab.cryptvisor('disk', 'add', 'web', '--device', device, '--size', String(backing.diskBytes))
  assert.match(refused.stderr, /deviceRoots/)
  await permitDevices(lab, [device, other])
  await lab.json('disk', 'add', 'web', '--device', device, '--size', String(backing.diskBytes))
  const plain = diskOf(await lab.vm('web'), 0)
  assert.deepEqual([plain.device, plain.path, plain.encrypted], [device, device, false])
  const sum = await exported(lab, 'web', 0)
  assert.equal(sum, backing.sum)

  await context.test('a device without room for the header is refused, and is as it was', async () => {
    await lab.json('vm', 'create', 'tight', '--host', 'host-a')
    await lab.json('disk', 'add', 'tight', '--device', other, '--size', String(tight.diskBytes))
    const { exitCode, stderr } = await lab.cryptvisor('vm', 'encrypt', 'tight', '--disk', '0')
    assert.equal(exitCode, 1)
    assert.match(stderr, /2 MiB/)
    assert.equal(await exported(lab, 'tight', 0), tight.sum)
  })

  await context.test('encrypted, the device is a LUKS volume that standard tools open', async () => {
    await lab.json('vm', 'encrypt', 'web', '--home')
    await lab.json('vm', 'encrypt', 'web', '--disk', '0')
    const disk = diskOf(await lab.vm('web'), 0)
    assert.deepEqual([disk.device, disk.encrypted], [device, true])
    assert.ok((await succeed('/sbin/cryptsetup', ['luksDump', device])).includes(disk.luksUuid ?? 'none'))
    assert.equal(await exported(lab, 'web', 0), sum)
    assert.equal(await recovered(lab, disk), sum)
    // A copy of the device, as a backup has it, stands alone.
    const copy = lab.path('copy.luks')
    await succeed('dd', [`if=${device}`, `of=${copy}`, 'bs=1M', 'status=none'])
    assert.equal(await recovered(lab, { ...disk, path: copy }), sum)
  })

  await context.test('decrypted, it is as it was', async () => {
    await lab.json('vm', 'decrypt', 'web', '--disk', '0')
    assert.equal(await exported(lab, 'web', 0), sum)
  })
})

/** Has host-a take the devices: a host takes none that its own configuration does not name. */
async function permitDevices(lab: LabUnderTest, deviceRoots: readonly string[]): Promise<void> {
  const path = join(lab.lab.places.data('host-a'), 'config.json')
  // A file of our own making.
  const config = JSON.parse(readFileSync(path, 'utf8')) as object
  await lab.lab.stop('host-a')
  writeFileSync(path, JSON.stringify({ ...config, deviceRoots }))
  await lab.lab.start('host-a')
  await eventually('that host-a is connected', async () =>
    (await lab.json<Host[]>('host', 'list')).find(({ name }) => name === 'host-a')?.connection === 'connected'
      ? true
      : null,
  )
}

/** What a loop device lies on: a disk of random data and text, and room behind it. */
async function makeBacking(context: TestContext, roomBytes: number) {
  const path = join(temporaryFolder(context), 'device.img')
  const diskBytes = 6 * mib
  makeRawImage(path, diskBytes, knownText())
  const sum = await sha256(path)
  truncateSync(path, diskBytes + roomBytes)
  return { path, sum, diskBytes }
}

/** The loop device of a file, gone after the test; `null` where that takes rights that we do not have. */
function loopDevice(context: TestContext, path: string): string | null {
  const { status, stdout } = spawnSync('/usr/sbin/losetup', ['--find', '--show', path], { encoding: 'utf8' })
  if (status !== 0) return null
  const device = stdout.trim()
  context.after(() => spawnSync('/usr/sbin/losetup', ['--detach', device]))
  return device
}

/** QEMU times its key derivation with a coarse clock and fails at random (docs of QEMU's «luks» driver). */
async function makeLuks1(plain: string, path: string, passphrase: string): Promise<void> {
  for (let tryCount = 1; ; tryCount++) {
    const { exitCode, stderr } = await run('qemu-img', [
      ...['convert', '-f', 'raw', '-O', 'luks', '--object', `secret,id=s,file=${passphrase}`],
      ...['-o', 'key-secret=s,iter-time=10', plain, path],
    ])
    if (exitCode === 0) return
    if (tryCount === 20) throw new Error(`qemu-img made no LUKS volume: ${stderr}`)
  }
}
