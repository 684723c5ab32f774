import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Secret } from '@cryptvisor/secret'
import { TestAgent } from '../testing/test-agent.ts'
import { createVm, done, encryptAll, ended, importDisk, newVm, until } from '../testing/test-vm.ts'

const key = { provider: 'kms', keyId: 'key-1' }
const mib = 1_048_576

/** An agent that holds a key and has an encrypted VM with one disk. */
async function start(context: TestContext, sizeBytes: number) {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  await client.addKey(key, Secret.random(32))
  const content = randomBytes(sizeBytes)
  const plain = await importDisk(client, await createVm(client, newVm(agent.datastore)), content)
  const vm = await done(client, encryptAll(plain, key))
  const diskId = vm.disks[0]?.diskId ?? ''
  return { agent, client, content, vm, diskId }
}

test('a disk is read out over REST, as it is and as a qcow2, and refusals are answers', async (context) => {
  const { client, content, vm, diskId } = await start(context, 3 * mib + 512)
  const raw = await client.exportDisk({ vm, diskId, format: 'raw' })
  assert.equal(raw.sizeBytes, content.length)
  assert.ok((await buffer(raw.stream)).equals(content))
  const qcow2 = await client.exportDisk({ vm, diskId, format: 'qcow2' })
  assert.equal((await buffer(qcow2.stream)).length, qcow2.sizeBytes)
  await assert.rejects(client.exportDisk({ vm, diskId: 'none', format: 'raw' }), { status: 422, answerCode: 'refused' })
  await client.removeKey(key)
  await assert.rejects(client.exportDisk({ vm, diskId, format: 'raw' }), { status: 409, answerCode: 'key-not-held' })
})

test('whoever reads slowly holds the agent back, and whoever goes away ends it', async (context) => {
  const { client, content, vm, diskId } = await start(context, 48 * mib)
  const { stream } = await client.exportDisk({ vm, diskId, format: 'raw' })
  await once(stream, 'readable')
  // All that fits between disk and reader is full by then: the rest waits, and the VM stays locked.
  await sleep(500)
  await assert.rejects(client.exportDisk({ vm, diskId, format: 'raw' }), { status: 423, answerCode: 'vm-busy' })
  stream.destroy()
  for (;;) {
    const again = await client.exportDisk({ vm, diskId, format: 'raw' }).catch((error: unknown) => {
      assert.partialDeepStrictEqual({ ...Object(error) }, { answerCode: 'vm-busy' })
      return null
    })
    if (again === null) continue
    assert.ok((await buffer(again.stream)).equals(content))
    break
  }
})

test('an agent stops while a disk is read out, and whoever reads it knows that it is not whole', async (context) => {
  const { agent, client, vm, diskId } = await start(context, 48 * mib)
  const { stream } = await client.exportDisk({ vm, diskId, format: 'raw' })
  await once(stream, 'readable')
  const broken = assert.rejects(buffer(stream), { name: 'RestClientError' })
  assert.equal(await agent.kill('SIGTERM'), 0)
  await broken
})

test('an operation is slowed down, paused and resumed over REST', async (context) => {
  const { client, vm, diskId } = await start(context, 16 * mib)
  const id = randomUUID()
  const disks = [{ diskId, policy: 'p' }]
  await client.startOperation(id, { kind: 'decrypt', vm, home: null, disks, bytesPerSecondMax: 4 * mib })
  assert.equal((await client.pauseOperation(id)).paused, true)
  assert.equal((await client.operation(id)).paused, true)
  assert.equal((await client.resumeOperation(id)).paused, false)
  await until(client, id, ({ doneBytes }) => doneBytes > 0)
  await assert.rejects(client.limitOperation(id, { bytesPerSecondMax: 1 }), { status: 400, field: 'bytesPerSecondMax' })
  await client.limitOperation(id, { bytesPerSecondMax: null })
  assert.equal((await ended(client, id)).state, 'done')
  await assert.rejects(client.pauseOperation('none'), { status: 404, answerCode: 'no-such-operation' })
})
