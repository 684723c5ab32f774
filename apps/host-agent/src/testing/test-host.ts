import { randomBytes, randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { KeyReference, OperationRequest, OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { NodeStorage } from '@cryptvisor/storage'
import { Datastores } from '../datastore/datastores.ts'
import type { BeforeChange } from '../datastore/folder.ts'
import { Devices } from '../disk/devices.ts'
import { KeyCache } from '../key-cache.ts'
import { BulkLimit } from '../operation/bulk-limit.ts'
import type { OperationHost } from '../operation/host.ts'
import { noMachines, type RunningMachines } from '../operation/lent-machine.ts'
import { Operations } from '../operation/operations.ts'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { details, newVm } from './test-vm.ts'

/** What an operation throws that a test stops at one of its changes, as a crash would. */
export class Crash extends Error {}

/** A host's operations in this process, over a datastore of their own. */
export class TestHost implements AsyncDisposable {
  readonly root: string
  readonly datastore: string
  readonly keys = new KeyCache()
  readonly warnings: string[] = []
  readonly key: KeyReference = { provider: 'kms', keyId: 'key-1' }
  /** What runs here; a test that starts VMs sets it. */
  machines: RunningMachines = noMachines
  readonly #own: boolean

  constructor(root: string | null = null) {
    this.#own = root === null
    this.root = root ?? mkdtempSync(join(tmpdir(), 'host-agent-'))
    this.datastore = join(this.root, 'datastore')
    mkdirSync(this.datastore, { recursive: true })
    this.keys.add(this.key, Secret.random(32))
  }

  /** What operations have of this host. */
  host(beforeChange?: BeforeChange, roots: readonly string[] | null = null): OperationHost {
    const storage = new NodeStorage(descriptorTools)
    return {
      storage,
      datastores: new Datastores(storage, roots, beforeChange, new Devices(storage, ['/dev'])),
      keys: this.keys,
      cryptoSupported: true,
      bulk: new BulkLimit(2),
      exports: new BulkLimit(4),
      unlocking: new BulkLimit(1),
      lanes: { laneCount: 2, chunkBytes: 1_048_576 },
      checkpointBytes: 1_048_576,
      machines: this.machines,
      warn: (text) => this.warnings.push(text),
    }
  }

  operations(beforeChange?: BeforeChange): Operations {
    const log = { info: () => {}, warn: () => {}, error: (_: object, text: string) => this.warnings.push(text) }
    return new Operations(this.host(beforeChange), log)
  }

  /** Runs one operation to its end, in an agent of its own, and puts its outcome on record. */
  async run(request: OperationRequest, content?: Uint8Array, id: string = randomUUID()): Promise<OperationStatus> {
    await using operations = this.operations()
    operations.start(id, request)
    const status =
      content === undefined
        ? await endOf(operations, id)
        : await operations.content(id, Readable.from([content]), content.length)
    await operations.forget(id)
    return status
  }

  /** The same, and it has to be done. */
  async done(request: OperationRequest, content?: Uint8Array): Promise<VmAuthority> {
    const { state, vm, error } = await this.run(request, content)
    if (state !== 'done' || vm === null) throw new Error(`expected done: ${state} ${error?.code} ${error?.message}`)
    return vm
  }

  /** A plain VM with one raw disk of random bytes. */
  async plainVm(sizeBytes = 131_072, folder = 'vm-1'): Promise<VmAuthority> {
    const vm = await this.done({ kind: 'create-vm', vm: newVm(this.datastore, folder), details, key: null })
    return await this.done(importRequest(vm, sizeBytes), randomBytes(sizeBytes))
  }

  /**
   * Runs an operation until its change number `count` (from 0), and stops there for good, as when the process is killed;
   * `false` when it came to its end before. What it changes outside of folders' methods is whole by then.
   */
  async crash(id: string, start: (operations: Operations) => Promise<unknown>, count: number): Promise<boolean> {
    let left = count
    const crashed = Promise.withResolvers<true>()
    const operations = this.operations(async () => {
      if (left-- > 0) return
      crashed.resolve(true)
      throw new Crash()
    })
    const over = new AbortController()
    const ended = start(operations).then(
      () =>
        endOf(operations, id, over.signal).then(
          () => false,
          () => false,
        ),
      () => false,
    )
    const hasCrashed = await Promise.race([crashed.promise, ended])
    await operations[Symbol.asyncDispose]()
    over.abort()
    return hasCrashed
  }

  /** What lies in a VM's folder. */
  files(folder = 'vm-1'): string[] {
    return readdirSync(join(this.datastore, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(this.datastore, folder).length + 1))
      .toSorted()
  }

  path(name: string, folder = 'vm-1'): string {
    return join(this.datastore, folder, name)
  }

  /** Keeps the datastore as it is now; what is returned brings it back. */
  snapshot(): () => void {
    const copy = mkdtempSync(join(this.root, 'copy-'))
    cpSync(this.datastore, copy, { recursive: true })
    return () => {
      rmSync(this.datastore, { recursive: true })
      cpSync(copy, this.datastore, { recursive: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.keys[Symbol.dispose]()
    if (this.#own) rmSync(this.root, { recursive: true, force: true })
  }
}

export function importRequest(vm: VmAuthority, payloadBytes: number, format: 'raw' | 'qcow2' = 'raw') {
  return {
    kind: 'import-disk',
    vm,
    diskId: randomUUID(),
    number: vm.disks.length,
    format,
    payloadBytes,
    policy: 'Datastore Default',
  } satisfies OperationRequest
}

/** Waits until an operation of this process has ended, or nobody waits any more. */
export async function endOf(operations: Operations, id: string, over?: AbortSignal): Promise<OperationStatus> {
  await until(() => over?.aborted === true || !['running', 'waiting-for-content'].includes(operations.status(id).state))
  return operations.status(id)
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}
