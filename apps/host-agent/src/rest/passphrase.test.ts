import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { RestClientError } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { holdsTrace, temporaryFolder } from '@cryptvisor/testkit'
import { cryptsetupLuks1, foreignPassphrase, volumeRequest } from '../testing/foreign-volume.ts'
import { TestAgent } from '../testing/test-agent.ts'
import { createVm, newVm, until } from '../testing/test-vm.ts'

const mib = 1_048_576

function assertNowhere(folder: string, bytes: Buffer): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    assert.ok(!holdsTrace(readFileSync(path), bytes), `the passphrase is in ${path}`)
  }
}

test('a passphrase comes over the API before the content, within its size, and stays nowhere', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  const vm = await createVm(client, newVm(agent.datastore))
  const payload = randomBytes(mib)
  const volume = cryptsetupLuks1(temporaryFolder(context), payload)
  const id = randomUUID()
  await client.startOperation(id, volumeRequest(vm, volume.length, null))
  await until(client, id, ({ state }) => state === 'waiting-for-content')
  const refuses = (status: number) => (error: unknown) => error instanceof RestClientError && error.status === status
  const content = () => client.sendContent(id, Readable.from([volume]), volume.length)
  await assert.rejects(content(), refuses(409))
  using large = Secret.random(8193)
  await assert.rejects(client.sendPassphrase(id, large), refuses(400))
  using passphrase = Secret.from(Buffer.from(foreignPassphrase))
  await assert.rejects(client.sendPassphrase(randomUUID(), passphrase), refuses(404))
  await client.sendPassphrase(id, passphrase)
  await assert.rejects(client.sendPassphrase(id, passphrase), refuses(409))
  const { state, vm: next } = await content()
  assert.equal(state, 'done')
  const [disk] = next?.disks ?? []
  assert.ok(disk !== undefined)
  assert.ok(readFileSync(join(agent.datastore, vm.folder, `${disk.layerId}.raw`)).equals(payload))
  assertNowhere(agent.folder, Buffer.from(foreignPassphrase))
  assertNowhere(agent.datastore, Buffer.from(foreignPassphrase))
  assert.ok(!holdsTrace(Buffer.from(agent.log), Buffer.from(foreignPassphrase)))
})
