import { Readable } from 'node:stream'
import type { OperationRequest, OperationStatus, Speed, VmAuthority } from '@cryptvisor/host-agent-api'
import { type Call, RestClientError } from '@cryptvisor/rest'
import { keyText } from '../../key-reference.ts'
import { keysOf } from '../vms/vm-store.ts'
import type { SimulatedAgent } from './simulated-agent.ts'
import { afterOperation, needsOf } from './simulated-change.ts'
import { agrees, fingerprint } from './simulated-datastore.ts'
import { refusal } from './simulated-refusal.ts'

interface RunningOperation {
  readonly request: OperationRequest
  status: OperationStatus
  /** How many looks it takes until it is done. */
  looksLeft: number
  lookCount: number
  cancelled: boolean
  received: number
  /** Of the passphrase of a LUKS volume. */
  passphrase: string | null
  speed: number | null
}

/** The operations of an agent's twin since its start. One goes on with each look at it. */
export class SimulatedOperations {
  readonly #agent: SimulatedAgent
  readonly #operations = new Map<string, RunningOperation>()

  constructor(agent: SimulatedAgent) {
    this.#agent = agent
  }

  get size(): number {
    return this.#operations.size
  }

  values(): MapIterator<RunningOperation> {
    return this.#operations.values()
  }

  clear(): void {
    this.#operations.clear()
  }

  forget(id: string): void {
    this.#operations.delete(id)
  }

  start(id: string, asked: OperationRequest): OperationStatus {
    const known = this.#operations.get(id)
    if (known !== undefined) return known.status
    this.#agent.onStart(asked)
    const operation: RunningOperation = {
      request: asked,
      status: statusOf(
        id,
        asked.kind.startsWith('import-') || asked.kind === 'restore-header' ? 'waiting-for-content' : 'running',
      ),
      looksLeft: this.#agent.looks,
      lookCount: 0,
      cancelled: false,
      received: 0,
      passphrase: null,
      speed: null,
    }
    this.#operations.set(id, operation)
    const missing = needsOf(asked).filter((key) => !this.#agent.keys.has(keyText(key)))
    const [lacking] = missing
    if (this.#agent.failWith !== null) fail(operation, this.#agent.failWith.code, this.#agent.failWith.message)
    else if (lacking !== undefined) fail(operation, 'key-not-held', `${keyText(lacking)} is not held`)
    else this.#begin(id, operation)
    return operation.status
  }

  #begin(id: string, operation: RunningOperation): void {
    const { request: asked } = operation
    const runner = this.#agent.datastore.runners.get(asked.vm.folder)
    const stored = this.#agent.datastore.vms.get(asked.vm.folder)
    if (runner !== undefined && !(runner === this.#agent.name && asked.kind === 'shallow-rekey')) {
      fail(operation, 'vm-busy', `it is powered on, on ${runner}`)
    } else if (asked.kind === 'create-vm' || asked.kind === 'clone-vm') {
      if (asked.kind === 'clone-vm' && this.#agent.lockState(asked.source).state === 'locked') {
        fail(operation, 'datastore-mismatch', 'the source is another one')
      } else if (stored !== undefined) fail(operation, 'datastore-mismatch', 'the folder is there already')
    } else if (asked.kind !== 'delete-vm') {
      if (stored === undefined || !agrees(stored.authority, asked.vm)) {
        fail(operation, 'datastore-mismatch', 'vm.json is another one')
      } else if (stored.journal !== null) {
        fail(operation, 'vm-busy', `operation ${stored.journal.operationId} comes first`)
      } else {
        stored.journal = { operationId: id, committed: false, next: afterOperation(this.#agent.datastore, asked) }
      }
    }
  }

  look(id: string): OperationStatus {
    const operation = this.#operations.get(id)
    if (operation === undefined) throw refusal(404, 'no-such-operation', `operation ${id} is not known`)
    if (operation.status.state !== 'running') return operation.status
    if (!operation.status.paused) operation.looksLeft--
    if (operation.cancelled) {
      this.#undo(operation.request, id)
      fail(operation, 'cancelled', 'cancelled; everything is as it was')
    } else if (operation.looksLeft <= 0) {
      operation.status = { ...operation.status, state: 'done', step: 'done', vm: this.#commit(id, operation.request) }
    } else if (!operation.status.paused) {
      const { step } = operation.status
      const doneBytes = operation.received + ++operation.lookCount
      operation.status = {
        ...operation.status,
        step: step === 'receiving' ? step : 'copying',
        doneBytes,
        totalBytes: doneBytes + 1,
      }
    }
    return operation.status
  }

  /** The rename of `vm.json`. */
  #commit(id: string, asked: OperationRequest): VmAuthority | null {
    const { folder } = asked.vm
    if (asked.kind === 'delete-vm') {
      this.#agent.datastore.vms.delete(folder)
      return null
    }
    if (asked.kind === 'restore-header') this.#agent.damaged.delete(asked.diskId)
    const next = this.#agent.datastore.vms.get(folder)?.journal?.next ?? afterOperation(this.#agent.datastore, asked)
    this.#agent.datastore.vms.set(folder, {
      authority: next,
      wrappedWith: new Map(
        [{ layerId: '', encryption: next.encryption }, ...next.disks].flatMap(({ layerId, encryption }) => {
          const [key] = encryption?.keys ?? []
          return key === undefined
            ? []
            : [[layerId, this.#agent.keys.get(keyText(key)) ?? 'a key that is not held'] as const]
        }),
      ),
      journal: { operationId: id, committed: true, next },
    })
    this.#clean(folder)
    return next
  }

  /** What was replaced is removed; the journal goes. */
  #clean(folder: string): void {
    const stored = this.#agent.datastore.vms.get(folder)
    if (stored !== undefined) stored.journal = null
  }

  #undo({ kind, vm }: OperationRequest, id: string): void {
    const stored = this.#agent.datastore.vms.get(vm.folder)
    if ((kind === 'create-vm' || kind === 'clone-vm') && stored?.journal?.operationId === id)
      this.#agent.datastore.vms.delete(vm.folder)
    else if (stored !== undefined) stored.journal = null
  }

  cancel(id: string): OperationStatus {
    const operation = this.#operations.get(id)
    if (operation === undefined) throw refusal(404, 'no-such-operation', `operation ${id} is not known`)
    operation.cancelled = true
    if (operation.status.state === 'waiting-for-content') operation.status = { ...operation.status, state: 'running' }
    return operation.status
  }

  pause(id: string, paused: boolean): OperationStatus {
    const operation = this.#running(id)
    operation.status = { ...operation.status, paused, bytesPerSecond: paused ? null : 1000, secondsLeft: null }
    return operation.status
  }

  limit(id: string, { bytesPerSecondMax }: Speed): OperationStatus {
    const operation = this.#running(id)
    operation.speed = bytesPerSecondMax
    return operation.status
  }

  #running(id: string): RunningOperation {
    const operation = this.#operations.get(id)
    if (operation?.status.state === 'running') return operation
    throw refusal(409, 'not-running', `operation ${id} moves no data`)
  }

  passphrase(id: string, { content }: Call): null {
    const operation = this.#operations.get(id)
    if (operation?.request.kind !== 'import-volume' || operation.status.state !== 'waiting-for-content') {
      throw refusal(409, 'not-waiting', `operation ${id} waits for no passphrase`)
    }
    if (content === undefined || content instanceof Readable) throw new Error('a passphrase comes as a secret')
    operation.passphrase = content.expose(fingerprint)
    return null
  }

  recover(id: string, asked: OperationRequest): OperationStatus {
    const known = this.#operations.get(id)
    if (known !== undefined) return known.status
    const { refuseRecovery } = this.#agent
    if (refuseRecovery !== null) throw refusal(409, refuseRecovery.code, refuseRecovery.message)
    const stored = this.#agent.datastore.vms.get(asked.vm.folder)
    if (asked.kind === 'delete-vm') return statusOf(id, stored === undefined ? 'done' : 'unknown')
    if (stored !== undefined && stored.authority.generation === asked.vm.generation + 1) {
      const lacking = keysOf(stored.authority).find((key) => !this.#agent.keys.has(keyText(key)))
      if (lacking !== undefined) throw refusal(409, 'key-not-held', `${keyText(lacking)} is not held`)
      this.#clean(asked.vm.folder)
      return { ...statusOf(id, 'done'), vm: stored.authority }
    }
    if ((asked.kind === 'create-vm' || asked.kind === 'clone-vm') && stored === undefined)
      return statusOf(id, 'unknown')
    if (stored === undefined) throw refusal(409, 'file-missing', `${asked.vm.folder} is missing`)
    if (!agrees(stored.authority, asked.vm)) throw refusal(409, 'datastore-mismatch', 'vm.json differs')
    const traces = stored.journal !== null
    this.#undo(asked, id)
    if (!traces) return statusOf(id, 'unknown')
    const error = { code: 'interrupted' as const, message: 'the agent stopped before this operation was committed' }
    return { ...statusOf(id, 'failed'), error }
  }

  async content(id: string, { content, contentBytes }: Call): Promise<OperationStatus> {
    const operation = this.#operations.get(id)
    if (operation?.status.state !== 'waiting-for-content' || !(content instanceof Readable)) {
      throw refusal(409, 'not-waiting-for-content', `operation ${id} does not wait for content`)
    }
    if (operation.request.kind === 'import-volume' && operation.passphrase === null) {
      throw refusal(409, 'no-passphrase', 'the passphrase of the volume comes before its content')
    }
    operation.status = { ...operation.status, state: 'running', step: 'receiving' }
    operation.looksLeft = Number.POSITIVE_INFINITY
    try {
      for await (const chunk of content) {
        await this.#agent.onChunk()
        // A stream of bytes.
        operation.received += (chunk as Uint8Array).length
      }
      if (operation.received !== contentBytes) throw new Error('another size')
      operation.looksLeft = 0
    } catch {
      this.#undo(operation.request, id)
      fail(operation, 'bad-image', 'the content broke off')
      throw new RestClientError('unreachable', 'the connection broke')
    }
    return this.look(id)
  }
}

function fail(operation: RunningOperation, code: NonNullable<OperationStatus['error']>['code'], message: string): void {
  operation.status = { ...operation.status, state: 'failed', error: { code, message } }
}

function statusOf(operationId: string, state: OperationStatus['state']): OperationStatus {
  return {
    operationId,
    state,
    step: state,
    doneBytes: 0,
    totalBytes: 0,
    bytesPerSecond: null,
    secondsLeft: null,
    paused: false,
    vm: null,
    error: null,
  }
}
