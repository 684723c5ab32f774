import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Vm } from '@cryptvisor/control-plane-api'
import { chooseCopy } from '@cryptvisor/key-record'
import { keyProviderOf } from '@cryptvisor/lab'
import { parseHeader, passphraseOf, readRecordCopies, unlock } from '@cryptvisor/luks'
import type { Secret } from '@cryptvisor/secret'
import { filesWithTrace, processTraces } from '@cryptvisor/testkit'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest } from './lab-under-test.ts'

const mib = 1_048_576

interface NamedKey {
  readonly name: string
  readonly bytes: Uint8Array
}

const copyOf = (name: string, secret: Secret): NamedKey => ({
  name,
  bytes: secret.expose((bytes) => Uint8Array.from(bytes)),
})

/** Every key that protects the VM: what a thief would look for. */
async function keysOf(lab: LabUnderTest, vm: Vm): Promise<NamedKey[]> {
  await using kmip = keyProviderOf(lab.description, 'control-plane')
  const keys: NamedKey[] = []
  for (const { keyId } of await lab.keys()) {
    using kek = await kmip.getKey(keyId)
    keys.push(copyOf(`KEK ${keyId}`, kek))
  }
  for (const disk of vm.disks) {
    assert.ok(disk.key && disk.luksUuid)
    const file = readFileSync(disk.path).subarray(0, 2 * mib)
    const kid = `${disk.key.provider}/${disk.key.keyId}`
    using kek = await kmip.getKey(disk.key.keyId)
    const copies = readRecordCopies(file, parseHeader(file))
    const authority = {
      kind: 'disk' as const,
      layerId: disk.layerId,
      luksUuid: disk.luksUuid,
      kids: [kid],
      generationMin: 1,
    }
    const { dek: opened } = await chooseCopy(copies, [{ kid, kek }], authority)
    using dek = opened
    using passphrase = passphraseOf(dek)
    using volumeKey = await unlock(file, passphrase)
    keys.push(copyOf(`DEK of disk ${disk.number}`, dek), copyOf(`volume key of disk ${disk.number}`, volumeKey))
    const halves = volumeKey.expose((bytes) => [bytes.slice(0, 32), bytes.slice(32)])
    keys.push(
      ...halves.map((bytes, half) => ({ name: `half ${half} of the volume key of disk ${disk.number}`, bytes })),
    )
  }
  return keys
}

function pidsOf(lab: LabUnderTest): number[] {
  const { keyServer, controlPlane, hosts } = lab.description.pids
  return [keyServer, controlPlane, ...Object.values(hosts)].map((pid) => {
    assert.ok(pid !== null, 'every service runs')
    return pid
  })
}

async function tracesOf(lab: LabUnderTest, keys: readonly NamedKey[]): Promise<string[]> {
  const traces: string[] = []
  for (const { name, bytes } of keys) {
    for (const path of await filesWithTrace(lab.folder, bytes)) traces.push(`${name} in ${path}`)
    for (const pid of pidsOf(lab)) traces.push(...processTraces(pid, bytes).map((path) => `${name} in ${path}`))
  }
  return traces
}

/** A VM that went through everything that handles keys: encrypted, its host restarted, unlocked, refused. */
async function livedVm(context: TestContext): Promise<{ lab: LabUnderTest; vm: Vm }> {
  const lab = await LabUnderTest.start(context)
  const image = lab.path('disk.img')
  makeRawImage(image, 4 * mib, knownText())
  await lab.json('vm', 'import', 'web', '--disk', image, '--host', 'host-a')
  await lab.json('vm', 'encrypt', 'web')
  await lab.lab.stop('host-a')
  await lab.lab.start('host-a')
  await eventually('the VM to be unlocked', async () => ((await lab.vm('web')).lock.state === 'unlocked' ? true : null))
  await lab.json('disk', 'add', 'web', '--size', '4MiB')
  assert.equal((await lab.cryptvisor('vm', 'decrypt', 'web', '--home')).exitCode, 1)
  return { lab, vm: await lab.vm('web') }
}

test('no key lies in a file, a log, a database, a command line or an environment', async (context) => {
  const { lab, vm } = await livedVm(context)
  const keys = await keysOf(lab, vm)
  // Three KEKs (the VM's and one of each host) and four keys of each disk.
  assert.equal(keys.length, 3 + 4 * vm.disks.length, keys.map(({ name }) => name).join(', '))
  assert.deepEqual(await tracesOf(lab, keys), [])

  await context.test('the administrator’s password is in its own file and the lab’s description only', async () => {
    const password = Buffer.from(lab.description.controlPlane.password)
    const found = await filesWithTrace(lab.folder, password)
    assert.deepEqual(
      found.toSorted(),
      [join(lab.folder, 'lab.json'), join(lab.folder, 'secrets', 'admin-password')].toSorted(),
    )
  })

  await context.test('a planted key is found', async () => {
    const [key] = keys
    assert.ok(key)
    const planted = lab.path('planted')
    writeFileSync(planted, `some text ${Buffer.from(key.bytes).toString('base64')} and more`)
    assert.deepEqual(await tracesOf(lab, [key]), [`${key.name} in ${planted}`])
  })
})
