import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
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
import { type Call, type StreamedAnswer, shapeCheck } from '@cryptvisor/rest'
import { keyText } from '../../key-reference.ts'
import { keysOf } from '../vms/vm-store.ts'
import type { Faults } from './faults.ts'
import { referenceOf } from './simulated-change.ts'
import { agrees, fingerprint, type SimulatedDatastore } from './simulated-datastore.ts'
import { SimulatedMachines } from './simulated-machines.ts'
import { SimulatedOperations } from './simulated-operations.ts'
import { refusal } from './simulated-refusal.ts'
import { SimulatedRest } from './simulated-rest.ts'

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
  readonly operations: SimulatedOperations
  /** QEMU processes of its host: they outlive it. */
  readonly machines: SimulatedMachines

  constructor(name: string, datastore: SimulatedDatastore) {
    this.name = name
    this.datastore = datastore
    this.operations = new SimulatedOperations(this)
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
        return this.lockState(checked(checkVm, call.json) as VmAuthority)
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
        if (second === 'content') return this.operations.content(first, call)
        if (second === 'passphrase') return this.operations.passphrase(first, call)
        if (second === 'speed') return this.operations.limit(first, call.json as Speed)
        return this.operations.start(first, request(call))
      case 'GET operations':
        return this.operations.look(first)
      case 'POST operations':
        if (second === 'pause' || second === 'resume') return this.operations.pause(first, second === 'pause')
        return second === 'cancel' ? this.operations.cancel(first) : this.operations.recover(first, request(call))
      case 'DELETE operations':
        this.operations.forget(first)
        return null
      default:
        throw new Error(`${call.method} ${call.path} is not simulated`)
    }
  }

  #powerOn(request: PowerOn): Promise<MachineStatus> {
    if (this.machines.supported) {
      const { state, reason } = this.lockState(request.vm)
      if (state === 'locked') throw refusal(409, reason?.code ?? 'locked', reason?.text ?? 'it is locked')
    }
    return this.machines.powerOn(request)
  }

  /** What a disk's export, or a backup of its header, answers. */
  stream({ path, json }: Call): StreamedAnswer {
    if (path.endsWith('/header-backup')) return this.#header(json as BackupHeader)
    const { vm, diskId } = json as ExportDisk
    const { state, reason } = this.lockState(vm)
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

  /** Whether it can open a VM with the keys that it holds. */
  lockState(vm: VmAuthority): LockState {
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
}

function request(call: Call): OperationRequest {
  return checked(checkRequest, call.json) as OperationRequest
}

function checked(check: ReturnType<typeof shapeCheck>, value: unknown): unknown {
  const problem = check(value)
  if (problem !== null) throw refusal(400, 'invalid-request', problem.message)
  return value
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
