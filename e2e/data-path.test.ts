import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { Disk, Task, Vm } from '@cryptvisor/control-plane-api'
import { recoveryScript } from '@cryptvisor/lab'
import { filesWithText } from '@cryptvisor/testkit'
import { knownText, makeQcow2Image, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, sha256, succeed } from './lab-under-test.ts'

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

test('an encrypted VM gets other keys, and is cloned', async (context) => {
  const { lab, text, sums } = await startEncrypted(context)
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

  await context.test('deleted with its source, a clone still opens', async () => {
    await lab.json('vm', 'delete', 'web')
    for (const name of ['clone-new', 'clone-same']) {
      assert.equal((await lab.vm(name)).lock.state, 'unlocked')
      await lab.json('vm', 'rekey', name)
      assert.equal(await recovered(lab, diskOf(await lab.vm(name), 0)), sums[0])
    }
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
  })
})
