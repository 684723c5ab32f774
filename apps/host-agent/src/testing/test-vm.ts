import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  HostAgentClient,
  KeyReference,
  OperationRequest,
  OperationStatus,
  VmAuthority,
} from '@cryptvisor/host-agent-api'

/** How long an operation of a test may take. */
const waitMs = 60_000

export const details = { memoryMib: 512, cpuCount: 1, firmware: 'bios', notes: 'made by a test' } as const

/** A VM that was not created yet, as the control plane would know it. */
export function newVm(datastorePath: string, folder = 'vm-1'): VmAuthority {
  return {
    vmId: randomUUID(),
    name: folder,
    datastorePath,
    folder,
    generation: 0,
    policy: 'Datastore Default',
    encryption: null,
    disks: [],
  }
}

/** Starts an operation and waits for its end. */
export async function runOperation(
  client: HostAgentClient,
  request: OperationRequest,
  operationId: string = randomUUID(),
): Promise<OperationStatus> {
  await client.startOperation(operationId, request)
  return await ended(client, operationId)
}

/** Waits until an operation has ended. */
export async function ended(client: HostAgentClient, operationId: string): Promise<OperationStatus> {
  return await until(client, operationId, ({ state }) => state === 'done' || state === 'failed')
}

/** Waits until an operation looks as `wanted` says. */
export async function until(
  client: HostAgentClient,
  operationId: string,
  wanted: (status: OperationStatus) => boolean,
): Promise<OperationStatus> {
  const deadline = Date.now() + waitMs
  for (;;) {
    const status = await client.operation(operationId)
    if (wanted(status)) return status
    if (Date.now() > deadline) throw new Error(`operation did not come there: ${JSON.stringify(status)}`)
    await sleep(10)
  }
}

/** The VM as it is after an operation that must be done. */
export async function done(client: HostAgentClient, request: OperationRequest): Promise<VmAuthority> {
  const { state, vm, error } = await runOperation(client, request)
  if (state !== 'done' || vm === null) throw new Error(`expected done: ${state} ${error?.code} ${error?.message}`)
  return vm
}

/** Creates a plain VM. */
export async function createVm(client: HostAgentClient, vm: VmAuthority, key: KeyReference | null = null) {
  return await done(client, { kind: 'create-vm', vm, details, key })
}

/** Imports a disk from bytes. */
export async function importDisk(
  client: HostAgentClient,
  vm: VmAuthority,
  content: Uint8Array,
  format: 'raw' | 'qcow2' = 'raw',
): Promise<VmAuthority> {
  const operationId = randomUUID()
  await client.startOperation(operationId, {
    kind: 'import-disk',
    vm,
    diskId: randomUUID(),
    number: vm.disks.length,
    format,
    payloadBytes: content.length,
    policy: 'Datastore Default',
  })
  await until(client, operationId, ({ state }) => state !== 'running')
  const { vm: next, error } = await client.sendContent(operationId, Readable.from(chunksOf(content)), content.length)
  if (next === null) throw new Error(`import failed: ${error?.code} ${error?.message}`)
  return next
}

/** A request that encrypts all of a VM under one key. */
export function encryptAll(vm: VmAuthority, key: KeyReference): OperationRequest {
  const policy = 'VM Encryption Policy'
  return {
    kind: 'encrypt',
    vm,
    home: { key, policy },
    disks: vm.disks.map(({ diskId }) => ({ diskId, key, policy })),
  }
}

/** A request that decrypts all of a VM. */
export function decryptAll(vm: VmAuthority): OperationRequest {
  const policy = 'Datastore Default'
  return { kind: 'decrypt', vm, home: { policy }, disks: vm.disks.map(({ diskId }) => ({ diskId, policy })) }
}

/** SHA-256 of a file, hex. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

function* chunksOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 100_000) yield bytes.subarray(offset, offset + 100_000)
}
