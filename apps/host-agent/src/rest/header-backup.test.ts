import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { TestAgent } from '../testing/test-agent.ts'
import { createVm, done, encryptAll, importDisk, newVm, until } from '../testing/test-vm.ts'

const key = { provider: 'kms', keyId: 'key-1' }

test('a header is backed up and restored over REST', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  await client.addKey(key, Secret.random(32))
  const plain = await importDisk(client, await createVm(client, newVm(agent.datastore)), randomBytes(131_072))
  const diskId = plain.disks[0]?.diskId ?? ''
  await assert.rejects(client.backupHeader({ vm: plain, diskId }), { status: 422, answerCode: 'refused' })
  const vm = await done(client, encryptAll(plain, key))
  const { stream, sizeBytes } = await client.backupHeader({ vm, diskId })
  const backup = await buffer(stream)
  assert.equal(backup.length, sizeBytes)
  const path = join(agent.datastore, vm.folder, `${vm.disks[0]?.layerId}.luks`)
  writeFileSync(path, readFileSync(path).fill(0, 0, 2_097_152))
  assert.equal((await client.unlock(vm)).state, 'locked')
  const id = randomUUID()
  const huge = { kind: 'restore-header', vm, diskId, contentBytes: 17 * 1_048_576 } as const
  await assert.rejects(client.startOperation(id, huge), { status: 400 })
  await client.startOperation(id, { ...huge, contentBytes: backup.length })
  await until(client, id, ({ state }) => state === 'waiting-for-content')
  const { state, vm: restored } = await client.sendContent(id, Readable.from([backup]), backup.length)
  assert.equal(state, 'done')
  assert.ok(restored !== null)
  assert.equal((await client.unlock(restored)).state, 'unlocked')
})
