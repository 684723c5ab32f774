import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { TestAgent } from './testing/test-agent.ts'
import { createVm, decryptAll, done, encryptAll, importDisk, newVm, sha256Of } from './testing/test-vm.ts'

test('a VM is created, its disk imported, all encrypted and decrypted back bit for bit', async (context) => {
  const agent = await TestAgent.create(context)
  assert.deepEqual(await agent.start(), { ready: true, url: agent.config.url, name: 'host-a' })
  const client = await agent.client()
  const key = { provider: 'kms', keyId: 'key-1' }
  await client.addKey(key, Secret.random(32))
  const created = await createVm(client, newVm(agent.datastore))
  const content = randomBytes(3 * 1024 * 1024 + 512)
  const imported = await importDisk(client, created, content)
  const plainPath = join(agent.datastore, 'vm-1', `${imported.disks[0]?.layerId}.raw`)
  const before = await sha256Of(plainPath)
  const encrypted = await done(client, encryptAll(imported, key))
  assert.deepEqual(await client.unlock(encrypted), { state: 'unlocked', reason: null })
  const decrypted = await done(client, decryptAll(encrypted))
  assert.equal(await sha256Of(join(agent.datastore, 'vm-1', `${decrypted.disks[0]?.layerId}.raw`)), before)
  await done(client, { kind: 'delete-vm', vm: decrypted }).catch(() => {})
  assert.equal(await agent.kill('SIGTERM'), 0)
})
