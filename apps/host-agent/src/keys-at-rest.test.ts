import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { filesWithTrace, holdsTrace, processTraces } from '@cryptvisor/testkit'
import { findKeys, runWithPassphrase } from './testing/open-with-tools.ts'
import { TestAgent } from './testing/test-agent.ts'
import { createVm, decryptAll, done, encryptAll, importDisk, newVm, sha256Of } from './testing/test-vm.ts'

const key = { provider: 'kms', keyId: 'key-1' }
const diskBytes = 64 * 1_048_576

/** The agent must not need more, however large the disk. */
const memoryMaxBytes = 300 * 1_048_576

test('an encrypted disk opens with QEMU and cryptsetup, and neither keys nor plaintext lie anywhere', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  using kek = Secret.random(32)
  await client.addKey(key, kek)
  const marker = randomBytes(24)
  const content = randomBytes(diskBytes)
  for (let offset = 0; offset < diskBytes; offset += 1_048_576) marker.copy(content, offset + 777)
  const notes = 'known words in VM Home'
  const created = await done(client, {
    kind: 'create-vm',
    vm: newVm(agent.datastore),
    details: { memoryMib: 64, cpuCount: 1, firmware: 'uefi', notes },
    key: null,
  })
  const plain = await importDisk(client, created, content)
  const before = await sha256Of(join(agent.datastore, 'vm-1', `${plain.disks[0]?.layerId}.raw`))
  assert.equal((await filesWithTrace(agent.datastore, marker)).length, 1)
  const vm = await done(client, encryptAll(plain, key))

  const { path, diskDek, volumeKey, homeDek } = await findKeys(vm, key, kek)
  using stack = new DisposableStack()
  for (const secret of [diskDek, volumeKey, homeDek]) stack.use(secret)
  await runWithPassphrase(diskDek, 'cryptsetup open --type luks1 --test-passphrase --key-file=- "$1"', path)
  const out = join(agent.folder, '..', 'out.raw')
  const source = `driver=luks,key-secret=s,file.driver=file,file.filename=${path}`
  await runWithPassphrase(
    diskDek,
    'qemu-img convert --object secret,id=s,file=/dev/stdin --image-opts "$1" -O raw "$2"',
    source,
    out,
  )
  assert.equal(await sha256Of(out), before)

  for (const secret of [kek, diskDek, volumeKey.clone(), homeDek]) {
    const bytes = Buffer.from(secret.expose((lent) => Uint8Array.from(lent)))
    for (const folder of [agent.datastore, agent.folder]) assert.deepEqual(await filesWithTrace(folder, bytes), [])
    assert.deepEqual(processTraces(agent.pid, bytes), [])
    assert.ok(!holdsTrace(Buffer.from(agent.log), bytes))
    // It would have been found.
    writeFileSync(join(agent.folder, 'planted'), `x${bytes.toString('base64')}`)
    assert.equal((await filesWithTrace(agent.folder, bytes)).length, 1)
    writeFileSync(join(agent.folder, 'planted'), '')
  }
  assert.deepEqual(await filesWithTrace(agent.datastore, marker), [])
  assert.deepEqual(await filesWithTrace(agent.datastore, Buffer.from(notes)), [])
  assert.ok(!readFileSync(join(agent.datastore, 'vm-1', 'vm.json'), 'utf8').includes(notes))

  const decrypted = await done(client, decryptAll(vm))
  assert.equal(await sha256Of(join(agent.datastore, 'vm-1', `${decrypted.disks[0]?.layerId}.raw`)), before)
  const peakKib = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1])
  assert.ok(peakKib > 0 && peakKib * 1024 < memoryMaxBytes, `the agent took ${peakKib} KiB`)
})

test('VM Home is sealed for its VM, and the key safe opens with the KEK', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  using kek = Secret.random(32)
  await client.addKey(key, kek)
  const one = await createVm(client, newVm(agent.datastore, 'vm-1'), key)
  const two = await createVm(client, newVm(agent.datastore, 'vm-2'), key)
  const sealed = (vm: string) => join(agent.datastore, vm, 'home', 'config.1.sealed')
  writeFileSync(sealed('vm-1'), readFileSync(sealed('vm-2')))
  const { reason } = await client.unlock(one)
  assert.equal(reason?.code, 'record-refused')
  assert.match(reason?.text ?? '', /VM Home/)
  assert.equal((await client.unlock(two)).state, 'unlocked')
})
