import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostAgentClient, KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { NodeStorage } from '@cryptvisor/storage'
import { memoryScanSkip, memoryTraces, processTraces, qemuSkip } from '@cryptvisor/testkit'
import { Datastores } from '../datastore/datastores.ts'
import { openDiskRecord } from '../disk/disk-record.ts'
import { kidOf } from '../key-cache.ts'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { TestAgent } from '../testing/test-agent.ts'
import { powerOnOf } from '../testing/test-machines.ts'
import { createVm, done, importDisk, newVm } from '../testing/test-vm.ts'
import { processesIn } from './process-identity.ts'
import { QemuProcess } from './qemu-process.ts'

const key: KeyReference = { provider: 'kms', keyId: 'key-1' }

/** How often an agent is killed while it starts a VM; `CRYPTVISOR_KILLS` asks for more. */
const killCount = Number(process.env['CRYPTVISOR_KILLS'] ?? 5)

/** A start takes less on a quiet machine. */
const startMs = 700

interface Machine {
  readonly agent: TestAgent
  readonly client: HostAgentClient
  readonly vm: VmAuthority
  readonly kek: Secret
  readonly runFolder: string
}

/** An agent with an encrypted VM. */
async function newMachine(context: TestContext): Promise<Machine> {
  const runFolders: string[] = []
  // Before the agent's folder goes, by which they are found.
  context.after(() => {
    for (const { pid } of runFolders.flatMap(processesIn)) process.kill(pid, 'SIGKILL')
  })
  const agent = await TestAgent.create(context, { acceleration: 'tcg' })
  await agent.start()
  const client = await agent.client()
  const kek = Secret.random(32)
  await client.addKey(key, kek)
  const vm = await createVm(client, newVm(agent.datastore), key)
  const one = await importDisk(client, vm, randomBytes(262_144))
  const policy = 'VM Encryption Policy'
  const disks = one.disks.map(({ diskId }) => ({ diskId, key, policy }))
  const encrypted = await done(client, { kind: 'encrypt', vm: one, home: null, disks })
  const runFolder = join(agent.folder, 'run', vm.vmId)
  runFolders.push(runFolder)
  return { agent, client, vm: encrypted, kek, runFolder }
}

/** The DEK of a VM's first disk, as whoever has the KEK can have it. */
async function dekOf({ vm, kek }: Machine): Promise<Buffer> {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  await using datastore = await new Datastores(new NodeStorage(descriptorTools), null).open(vm)
  await using folder = await datastore.folder(vm.folder)
  assert.ok(folder !== null)
  using record = await openDiskRecord(folder, disk, [{ kid: kidOf(key), kek }])
  return record.dek.expose((bytes) => Buffer.from(bytes))
}

test('a QEMU that runs has none of the keys that opened its disks, and its agent has KEKs only', {
  skip: qemuSkip || memoryScanSkip,
}, async (context) => {
  const machine = await newMachine(context)
  const { agent, client, vm, kek, runFolder } = machine
  const { state } = await client.powerOn(powerOnOf(vm))
  assert.equal(state, 'running')
  const dek = await dekOf(machine)
  const plain = kek.expose((bytes) => Buffer.from(bytes))
  const qemu = await QemuProcess.find(runFolder)
  assert.ok(qemu !== null)
  // The second half of a passphrase stays longest where it was freed.
  for (const secret of [dek, plain]) {
    assert.equal(memoryTraces(qemu.pid, secret), 0)
    assert.equal(memoryTraces(qemu.pid, secret.subarray(secret.length / 2)), 0)
    assert.deepEqual(processTraces(qemu.pid, secret), [])
    assert.deepEqual(processTraces(agent.pid, secret), [])
  }
  assert.ok(memoryTraces(agent.pid, plain) > 0, 'what is there is found')
  assert.equal(memoryTraces(agent.pid, dek), 0)
})

test('an agent that is killed at any point of a start leaves a VM that runs, or none, and the next start works', {
  skip: qemuSkip,
}, async (context) => {
  const { agent, client, vm, kek, runFolder } = await newMachine(context)
  const seen = new Set<string>()
  let lease = 0
  for (let round = 0; round < killCount; round++) {
    lease++
    const started = client.powerOn(powerOnOf(vm, lease)).catch(() => null)
    await sleep(randomInt(startMs))
    await agent.kill('SIGKILL')
    await started
    await agent.start()
    const { machines } = await client.machines()
    const [status] = machines
    const pids = processesIn(runFolder)
    seen.add(status?.state ?? 'none')
    await client.addKey(key, kek)
    if (status === undefined) {
      assert.deepEqual(pids, [], 'a VM that is not told of has no QEMU')
      assert.equal((await client.powerOn(powerOnOf(vm, lease))).state, 'running', 'the same lease, asked again')
    } else assert.deepEqual([status.state, status.lease, pids.length], ['running', lease, 1])
    await client.changePower(vm.vmId, { action: 'power-off', lease })
    await client.forgetMachine(vm.vmId)
  }
  context.diagnostic(`found after a kill: ${[...seen].join(', ')}`)
})
