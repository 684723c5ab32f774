import assert from 'node:assert/strict'
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostAgentClient, OperationStatus } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { TestAgent } from './testing/test-agent.ts'
import { createVm, decryptAll, encryptAll, importDisk, newVm, sha256Of, until } from './testing/test-vm.ts'

const key = { provider: 'kms', keyId: 'key-1' }
const diskBytes = 32 * 1_048_576

/** How often the agent is killed; `CRYPTVISOR_KILLS` asks for more. */
const killCount = Number(process.env['CRYPTVISOR_KILLS'] ?? 12)

/** Waits for the moment to kill: at some progress, at some step, or after some time. */
async function moment(client: HostAgentClient, id: string, turn: number): Promise<void> {
  const ended = ({ state }: OperationStatus) => state === 'done' || state === 'failed'
  const doneBytes = randomInt(2 * diskBytes)
  if (turn % 3 === 0) await sleep(randomInt(250))
  else if (turn % 3 === 1) await until(client, id, (status) => ended(status) || status.doneBytes >= doneBytes)
  else await until(client, id, (status) => ended(status) || /VM Home|committing|removing/.test(status.step))
}

test('an agent killed at any moment leaves the old VM or the new one, whole', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  using kek = Secret.random(32)
  await client.addKey(key, kek)
  let vm = await importDisk(client, await createVm(client, newVm(agent.datastore)), randomBytes(diskBytes))
  const path = () => join(agent.datastore, 'vm-1', `${vm.disks[0]?.layerId}.${vm.encryption === null ? 'raw' : 'luks'}`)
  const content = await sha256Of(path())
  for (let turn = 0; turn < killCount; turn++) {
    const request = vm.encryption === null ? encryptAll(vm, key) : decryptAll(vm)
    const id = randomUUID()
    await client.startOperation(id, request)
    await moment(client, id, turn)
    await agent.kill('SIGKILL')
    await agent.start()
    if (vm.encryption !== null) assert.equal((await client.unlock(vm)).reason?.code, 'key-not-held')
    await client.addKey(key, kek)
    const status = await client.recoverOperation(id, request)
    assert.ok(['done', 'failed', 'unknown'].includes(status.state), JSON.stringify(status))
    if (status.state === 'failed') assert.equal(status.error?.code, 'interrupted')
    vm = status.vm ?? vm
    assert.deepEqual(await client.unlock(vm), { state: 'unlocked', reason: null })
    await client.forgetOperation(id)
    const { files } = await client.files(vm)
    const layers = files.filter(({ path: name }) => /\.(raw|luks)$/.test(name))
    assert.deepEqual(
      layers.map(({ path: name }) => join(agent.datastore, 'vm-1', name)),
      [path()],
    )
    if (vm.encryption === null) assert.equal(await sha256Of(path()), content)
  }
  if (vm.encryption !== null) {
    const id = randomUUID()
    await client.startOperation(id, decryptAll(vm))
    const { vm: plain } = await until(client, id, ({ state }) => state === 'done')
    assert.ok(plain !== null)
    vm = plain
  }
  assert.equal(await sha256Of(path()), content)
})
