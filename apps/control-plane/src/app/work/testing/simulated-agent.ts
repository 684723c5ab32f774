import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import {
  type BackupHeader,
  ChangePower,
  type ComparedKey,
  type EnableKeyPersistence,
  type ExportDisk,
  type FoundFolders,
  type FoundVm,
  type HeldKeys,
  HostAgentClient,
  type HostStatus,
  type InspectVm,
  type KeyReference,
  type LockState,
  type MachineStatus,
  OperationRequest,
  type OperationStatus,
  PowerOn,
  type RemoveLayer,
  type Speed,
  VmAuthority,
} from '@cryptvisor/host-agent-api'
import { type Call, RestClientError, type StreamedAnswer, shapeCheck } from '@cryptvisor/rest'
import { keyText } from '../../key-reference.ts'
import { keysOf } from '../vms/vm-store.ts'
import type { Faults } from './faults.ts'
import { afterOperation, needsOf, referenceOf } from './simulated-change.ts'
import { fingerprint, type SimulatedDatastore } from './simulated-datastore.ts'
import { SimulatedMachines } from './simulated-machines.ts'
import { SimulatedRest } from './simulated-rest.ts'

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

const checkRequest = shapeCheck(OperationRequest, 'body')
const checkVm = shapeCheck(VmAuthority, 'body')
const checkPowerOn = shapeCheck(PowerOn, 'body')
const checkPower = shapeCheck(ChangePower, 'body')

/**
 * The host agent's twin: the same calls over the real client, with the same rules for keys, journals and outcomes, on a
 * datastore in memory. An operation goes on with each look at it.
 */
export class SimulatedAgent {
  readonly name: string
  readonly datastore: SimulatedDatastore
  bootId: string = randomUUID()
  cryptoSupported = true
  running = true
  /** How many looks a conversion takes. */
  looks = 2
  /** What the next operations fail with. */
  failWith: NonNullable<OperationStatus['error']> | null = null
  /** Awaited before a key is taken. */
  onAddKey: (name: string) => Promise<void> = async () => undefined
  /** Called before it forgets a key. */
  onRemoveKey: () => Promise<void> = async () => undefined
  /** What an operation is refused with that is to be brought to its end. */
  refuseRecovery: { readonly code: string; readonly message: string } | null = null
  /** Called before an operation starts. */
  onStart: (asked: OperationRequest) => void = () => undefined
  /** Awaited at each chunk of an import. */
  onChunk: () => Promise<void> = async () => undefined
  /** What is read out of a disk. */
  onExport: (sizeBytes: number) => Readable = (sizeBytes) => Readable.from([Buffer.alloc(sizeBytes, 7)])
  /** IDs of the disks whose header is damaged. */
  readonly damaged = new Set<string>()
  readonly keys = new Map<string, string>()
  hostKey: string | null = null
  /** Why it has no TPM. */
  tpmProblem: string | null = 'no TPM'
  /** It cannot erase what it has kept. */
  refusesToErase = false
  /** Its TPM fails while it begins to keep keys. */
  failsToKeep = false
  keepDays: number | null = null
  /** What is there after a restart; `null`: nothing is kept. */
  kept: Map<string, string> | null = null
  readonly operations = new Map<string, RunningOperation>()
  /** QEMU processes of its host: they outlive it. */
  readonly machines: SimulatedMachines

  constructor(name: string, datastore: SimulatedDatastore) {
    this.name = name
    this.datastore = datastore
    this.machines = new SimulatedMachines(name, datastore)
  }

  /** Becomes as `other` is, which runs no operation. */
  copy(other: SimulatedAgent): void {
    this.bootId = other.bootId
    this.hostKey = other.hostKey
    for (const [name, print] of other.keys) this.keys.set(name, print)
    this.tpmProblem = other.tpmProblem
    this.keepDays = other.keepDays
    this.kept = other.kept === null ? null : new Map(other.kept)
    this.machines.copy(other.machines)
  }

  /** The agent was killed and started again: its memory is gone. */
  restart(): void {
    this.bootId = randomUUID()
    this.keys.clear()
    for (const [name, print] of this.kept ?? []) this.keys.set(name, print)
    this.hostKey = null
    this.operations.clear()
    this.running = true
  }

  /** Its client as one process of the control plane uses it. */
  client(faults: Faults): HostAgentClient {
    return new HostAgentClient(new SimulatedRest(this, faults))
  }

  async answer(call: Call): Promise<unknown> {
    const path = call.path.split('/').slice(2).map(decodeURIComponent)
    const [resource, first = '', second = ''] = path
    switch (`${call.method} ${resource}`) {
      case 'GET host':
        return this.#status()
      case 'GET keys':
        return { keys: [...this.keys.keys()].map(referenceOf) } satisfies HeldKeys
      case 'PUT keys':
        return this.#addKey(`${first}/${second}`, call)
      case 'POST keys':
        return this.#compareKey(`${first}/${second}`, call)
      case 'DELETE keys':
        return this.#removeKey(`${first}/${second}`)
      case 'PUT host-key':
        return this.#setHostKey(call.json as KeyReference)
      case 'PUT key-persistence':
        return this.#persist(call.json as EnableKeyPersistence)
      case 'DELETE key-persistence':
        if (this.refusesToErase) throw refusal(500, 'io', 'the TPM does not answer')
        this.keepDays = null
        this.kept = null
        return this.#persistence()
      case 'POST vms':
        return this.#lockState(checked(checkVm, call.json) as VmAuthority)
      case 'POST layers':
        // What its host's API checks by this schema.
        this.datastore.removedLayers.add((call.json as RemoveLayer).layerId)
        return null
      case 'POST datastores':
        return first === 'browse' ? browse(this.datastore) : inspect(this.datastore, call.json as InspectVm)
      case 'GET machines':
        return this.machines.list()
      case 'PUT machines':
        return this.#powerOn(checked(checkPowerOn, call.json) as PowerOn)
      case 'POST machines':
        return this.machines.changePower(first, checked(checkPower, call.json) as ChangePower)
      case 'DELETE machines':
        return this.machines.forget(first)
      case 'PUT operations':
        if (second === 'content') return this.#content(first, call)
        if (second === 'passphrase') return this.#passphrase(first, call)
        if (second === 'speed') return this.#limit(first, call.json as Speed)
        return this.#start(first, request(call))
      case 'GET operations':
        return this.#look(first)
      case 'POST operations':
        if (second === 'pause' || second === 'resume') return this.#pause(first, second === 'pause')
        return second === 'cancel' ? this.#cancel(first) : this.#recover(first, request(call))
      case 'DELETE operations':
        this.operations.delete(first)
        return null
      default:
        throw new Error(`${call.method} ${call.path} is not simulated`)
    }
  }

  #powerOn(request: PowerOn): Promise<MachineStatus> {
    if (this.machines.supported) {
      const { state, reason } = this.#lockState(request.vm)
      if (state === 'locked') throw refusal(409, reason?.code ?? 'locked', reason?.text ?? 'it is locked')
    }
    return this.machines.powerOn(request)
  }

  /** What a disk's export, or a backup of its header, answers. */
  stream({ path, json }: Call): StreamedAnswer {
    if (path.endsWith('/header-backup')) return this.#header(json as BackupHeader)
    const { vm, diskId } = json as ExportDisk
    const { state, reason } = this.#lockState(vm)
    if (state === 'locked') throw refusal(409, reason?.code ?? 'locked', reason?.text ?? 'it is locked')
    const disk = vm.disks.find((candidate) => candidate.diskId === diskId)
    if (disk === undefined) throw refusal(404, 'no-such-disk', 'it is not there')
    return { stream: this.onExport(disk.virtualBytes), sizeBytes: disk.virtualBytes }
  }

  /** It takes no key, and a header that is not damaged. */
  #header({ vm, diskId }: BackupHeader): StreamedAnswer {
    if (vm.disks.find((disk) => disk.diskId === diskId)?.encryption == null)
      throw refusal(422, 'refused', 'it is plain')
    if (this.damaged.has(diskId)) throw refusal(422, 'refused', 'its header is damaged')
    const sizeBytes = 4096
    return { stream: this.onExport(sizeBytes), sizeBytes }
  }

  async #addKey(name: string, { content }: Call): Promise<null> {
    await this.onAddKey(name)
    if (!this.cryptoSupported) throw refusal(501, 'crypto-unsupported', 'this host does not support encryption')
    if (content === undefined || content instanceof Readable) throw new Error('a key comes as a secret')
    const print = content.expose(fingerprint)
    const held = this.keys.get(name)
    if (held !== undefined && held !== print) throw refusal(409, 'key-conflict', `${name} is another key`)
    this.keys.set(name, print)
    this.kept?.set(name, print)
    return null
  }

  #status(): HostStatus {
    return {
      hostId: this.name,
      name: this.name,
      bootId: this.bootId,
      hardwareUuid: `uuid-of-${this.name}`,
      version: '1.2.3',
      cryptoState: !this.cryptoSupported ? 'incapable' : this.hostKey === null ? 'prepared' : 'safe',
      hostKey: this.hostKey === null ? null : referenceOf(this.hostKey),
      keysHeldCount: this.keys.size,
      keyMemory: { swap: false, coreDumps: false },
      keyPersistence: this.#persistence(),
      tools: { qemuImg: null, qemuSystem: null },
    }
  }

  #persistence(): HostStatus['keyPersistence'] {
    return {
      isOn: this.keepDays !== null,
      keepDays: this.keepDays,
      keyCount: this.kept?.size ?? null,
      keptUntilMs: this.keepDays === null ? null : 1_900_000_000_000,
      tpmProblem: this.tpmProblem,
      problem: null,
    }
  }

  #persist({ keepDays }: EnableKeyPersistence): HostStatus['keyPersistence'] {
    if (this.tpmProblem !== null) throw refusal(422, 'refused', this.tpmProblem)
    if (this.failsToKeep) throw refusal(500, 'io', 'the TPM does not answer')
    this.keepDays = keepDays
    this.kept = new Map(this.keys)
    return this.#persistence()
  }

  #compareKey(name: string, { content }: Call): ComparedKey {
    if (content === undefined || content instanceof Readable) throw new Error('a key comes as a secret')
    const held = this.keys.get(name)
    if (held === undefined) return { result: 'not-held' }
    return { result: held === content.expose(fingerprint) ? 'same' : 'other' }
  }

  async #removeKey(name: string): Promise<null> {
    await this.onRemoveKey()
    for (const { status, request: asked } of this.operations.values()) {
      if (status.state !== 'running' && status.state !== 'waiting-for-content') continue
      if (JSON.stringify(asked).includes(JSON.stringify(referenceOf(name)))) {
        throw refusal(409, 'key-in-use', `an operation uses ${name}`)
      }
    }
    this.keys.delete(name)
    this.kept?.delete(name)
    if (this.hostKey === name) this.hostKey = null
    return null
  }

  #setHostKey(key: KeyReference): null {
    const name = keyText(key)
    if (!this.keys.has(name)) throw refusal(409, 'key-not-held', `${name} is not held`)
    this.hostKey = name
    return null
  }

  #lockState(vm: VmAuthority): LockState {
    const missingKeys = keysOf(vm).filter((key) => !this.keys.has(keyText(key)))
    if (missingKeys.length > 0) return locked('key-not-held', 'this host does not hold the keys', missingKeys)
    const stored = this.datastore.vms.get(vm.folder)
    if (stored === undefined) return locked('file-missing', `${vm.folder} is missing`)
    if (!agrees(stored.authority, vm)) return locked('record-refused', 'vm.json is another one')
    for (const [layerId, print] of stored.wrappedWith) {
      const part = layerId === '' ? vm : vm.disks.find((disk) => disk.layerId === layerId)
      const [key] = part?.encryption?.keys ?? []
      if (key === undefined || this.keys.get(keyText(key)) !== print) return locked('record-refused', 'another KEK')
    }
    const bad = vm.disks.find(({ diskId }) => this.damaged.has(diskId))
    if (bad !== undefined) return locked('record-refused', `the header of disk ${bad.number} is damaged`)
    return { state: 'unlocked', reason: null }
  }

  #start(id: string, asked: OperationRequest): OperationStatus {
    const known = this.operations.get(id)
    if (known !== undefined) return known.status
    this.onStart(asked)
    const operation: RunningOperation = {
      request: asked,
      status: statusOf(
        id,
        asked.kind.startsWith('import-') || asked.kind === 'restore-header' ? 'waiting-for-content' : 'running',
      ),
      looksLeft: this.looks,
      lookCount: 0,
      cancelled: false,
      received: 0,
      passphrase: null,
      speed: null,
    }
    this.operations.set(id, operation)
    const missing = needsOf(asked).filter((key) => !this.keys.has(keyText(key)))
    const [lacking] = missing
    if (this.failWith !== null) fail(operation, this.failWith.code, this.failWith.message)
    else if (lacking !== undefined) fail(operation, 'key-not-held', `${keyText(lacking)} is not held`)
    else this.#begin(id, operation)
    return operation.status
  }

  #begin(id: string, operation: RunningOperation): void {
    const { request: asked } = operation
    const runner = this.datastore.runners.get(asked.vm.folder)
    const stored = this.datastore.vms.get(asked.vm.folder)
    if (runner !== undefined && !(runner === this.name && asked.kind === 'shallow-rekey')) {
      fail(operation, 'vm-busy', `it is powered on, on ${runner}`)
    } else if (asked.kind === 'create-vm' || asked.kind === 'clone-vm') {
      if (asked.kind === 'clone-vm' && this.#lockState(asked.source).state === 'locked') {
        fail(operation, 'datastore-mismatch', 'the source is another one')
      } else if (stored !== undefined) fail(operation, 'datastore-mismatch', 'the folder is there already')
    } else if (asked.kind !== 'delete-vm') {
      if (stored === undefined || !agrees(stored.authority, asked.vm)) {
        fail(operation, 'datastore-mismatch', 'vm.json is another one')
      } else if (stored.journal !== null) {
        fail(operation, 'vm-busy', `operation ${stored.journal.operationId} comes first`)
      } else {
        stored.journal = { operationId: id, committed: false, next: afterOperation(this.datastore, asked) }
      }
    }
  }

  #look(id: string): OperationStatus {
    const operation = this.operations.get(id)
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
      this.datastore.vms.delete(folder)
      return null
    }
    if (asked.kind === 'restore-header') this.damaged.delete(asked.diskId)
    const next = this.datastore.vms.get(folder)?.journal?.next ?? afterOperation(this.datastore, asked)
    this.datastore.vms.set(folder, {
      authority: next,
      wrappedWith: new Map(
        [{ layerId: '', encryption: next.encryption }, ...next.disks].flatMap(({ layerId, encryption }) => {
          const [key] = encryption?.keys ?? []
          return key === undefined ? [] : [[layerId, this.keys.get(keyText(key)) ?? 'a key that is not held'] as const]
        }),
      ),
      journal: { operationId: id, committed: true, next },
    })
    this.#clean(folder)
    return next
  }

  /** What was replaced is removed; the journal goes. */
  #clean(folder: string): void {
    const stored = this.datastore.vms.get(folder)
    if (stored !== undefined) stored.journal = null
  }

  #undo({ kind, vm }: OperationRequest, id: string): void {
    const stored = this.datastore.vms.get(vm.folder)
    if ((kind === 'create-vm' || kind === 'clone-vm') && stored?.journal?.operationId === id)
      this.datastore.vms.delete(vm.folder)
    else if (stored !== undefined) stored.journal = null
  }

  #cancel(id: string): OperationStatus {
    const operation = this.operations.get(id)
    if (operation === undefined) throw refusal(404, 'no-such-operation', `operation ${id} is not known`)
    operation.cancelled = true
    if (operation.status.state === 'waiting-for-content') operation.status = { ...operation.status, state: 'running' }
    return operation.status
  }

  #pause(id: string, paused: boolean): OperationStatus {
    const operation = this.#running(id)
    operation.status = { ...operation.status, paused, bytesPerSecond: paused ? null : 1000, secondsLeft: null }
    return operation.status
  }

  #limit(id: string, { bytesPerSecondMax }: Speed): OperationStatus {
    const operation = this.#running(id)
    operation.speed = bytesPerSecondMax
    return operation.status
  }

  #running(id: string): RunningOperation {
    const operation = this.operations.get(id)
    if (operation?.status.state === 'running') return operation
    throw refusal(409, 'not-running', `operation ${id} moves no data`)
  }

  #passphrase(id: string, { content }: Call): null {
    const operation = this.operations.get(id)
    if (operation?.request.kind !== 'import-volume' || operation.status.state !== 'waiting-for-content') {
      throw refusal(409, 'not-waiting', `operation ${id} waits for no passphrase`)
    }
    if (content === undefined || content instanceof Readable) throw new Error('a passphrase comes as a secret')
    operation.passphrase = content.expose(fingerprint)
    return null
  }

  #recover(id: string, asked: OperationRequest): OperationStatus {
    const known = this.operations.get(id)
    if (known !== undefined) return known.status
    const { refuseRecovery } = this
    if (refuseRecovery !== null) throw refusal(409, refuseRecovery.code, refuseRecovery.message)
    const stored = this.datastore.vms.get(asked.vm.folder)
    if (asked.kind === 'delete-vm') return statusOf(id, stored === undefined ? 'done' : 'unknown')
    if (stored !== undefined && stored.authority.generation === asked.vm.generation + 1) {
      const lacking = keysOf(stored.authority).find((key) => !this.keys.has(keyText(key)))
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

  async #content(id: string, { content, contentBytes }: Call): Promise<OperationStatus> {
    const operation = this.operations.get(id)
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
        await this.onChunk()
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
    return this.#look(id)
  }
}

function request(call: Call): OperationRequest {
  return checked(checkRequest, call.json) as OperationRequest
}

function checked(check: ReturnType<typeof shapeCheck>, value: unknown): unknown {
  const problem = check(value)
  if (problem !== null) throw refusal(400, 'invalid-request', problem.message)
  return value
}

function refusal(status: number, answerCode: string, message: string): RestClientError {
  return new RestClientError('answered', message, { status, answerCode })
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

function locked(code: NonNullable<LockState['reason']>['code'], text: string, missingKeys: KeyReference[] = []) {
  return { state: 'locked' as const, reason: { code, text, missingKeys } }
}

/** What lies on the datastore. */
function browse({ vms }: SimulatedDatastore): FoundFolders {
  const folders = [...vms].map(([folder, { authority }]) => {
    const { vmId, name, generation, encryption, disks } = authority
    const encrypted = encryption !== null || disks.some((disk) => disk.encryption !== null)
    return { folder, vm: { vmId, name, generation, encrypted, diskCount: disks.length }, problem: null }
  })
  return { folders }
}

function inspect({ vms }: SimulatedDatastore, { folder }: InspectVm): FoundVm {
  const stored = vms.get(folder)
  if (stored === undefined) throw refusal(409, 'file-missing', `${folder}/vm.json: is missing`)
  const { authority: vm, journal } = stored
  return { vm, unfinishedOperation: journal?.operationId ?? null }
}

/** Whether `vm.json` agrees with what the control plane knows; names and policies are the control plane's alone. */
function agrees(stored: VmAuthority, vm: VmAuthority): boolean {
  const bare = ({ disks, ...rest }: VmAuthority) => ({
    ...rest,
    name: '',
    policy: '',
    disks: disks.map((disk) => ({ ...disk, policy: '' })),
  })
  return isDeepStrictEqual(bare(stored), bare(vm))
}
