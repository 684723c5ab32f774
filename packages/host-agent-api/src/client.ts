import type { Readable } from 'node:stream'
import { pathOf, type RestClient, type StreamedAnswer } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import type { BrowseDatastore, FoundFolders, FoundVm, InspectVm } from './datastore.ts'
import type { CoreDumps } from './dumps.ts'
import type { HostStatus } from './host.ts'
import type { EnableKeyPersistence, KeyPersistence } from './key-persistence.ts'
import type { ComparedKey, HeldKeys, KeyReference } from './keys.ts'
import type { ChangePower, MachineList, MachineStatus, PowerOn } from './machine.ts'
import type {
  BackupHeader,
  ExportDisk,
  OperationRequest,
  OperationStatus,
  RemoveLayer,
  Speed,
  VmFiles,
} from './operation.ts'
import type { SupportBundlePlan, TakeSupportBundle } from './support-bundle.ts'
import type { LockState, VmAuthority } from './vm.ts'

/** Calls one host agent. Every method throws `RestClientError`. */
export class HostAgentClient {
  readonly #rest: RestClient

  constructor(rest: RestClient) {
    this.#rest = rest
  }

  /** `GET /v1/host` */
  host(): Promise<HostStatus> {
    return this.#rest.call({ method: 'GET', path: '/v1/host' })
  }

  /** `POST /v1/renew-certificate`: the agent asks the control plane for a new certificate soon, and dials with that. */
  async renewCertificate(): Promise<void> {
    await this.#rest.call({ method: 'POST', path: '/v1/renew-certificate' })
  }

  /** `GET /v1/keys`: the names of the KEKs that it holds. */
  keys(): Promise<HeldKeys> {
    return this.#rest.call({ method: 'GET', path: '/v1/keys' })
  }

  /** `PUT /v1/keys/{provider}/{keyId}`: hands a KEK over; the same one again is fine, another under the same name 409. */
  async addKey(key: KeyReference, kek: Secret): Promise<void> {
    await this.#rest.call({ method: 'PUT', path: pathOf('v1', 'keys', key.provider, key.keyId), content: kek })
  }

  /** `POST /v1/keys/{provider}/{keyId}/compare`: whether it holds these bytes under that name; it keeps nothing of them. */
  compareKey(key: KeyReference, kek: Secret): Promise<ComparedKey> {
    return this.#rest.call({
      method: 'POST',
      path: pathOf('v1', 'keys', key.provider, key.keyId, 'compare'),
      content: kek,
    })
  }

  /** `DELETE /v1/keys/{provider}/{keyId}`: forgets it; fine when it is not held; 409 while an operation uses it. */
  async removeKey(key: KeyReference): Promise<void> {
    await this.#rest.call({ method: 'DELETE', path: pathOf('v1', 'keys', key.provider, key.keyId) })
  }

  /** `PUT /v1/host-key`: says which held KEK is the host key, which makes the host crypto-safe. */
  async setHostKey(key: KeyReference): Promise<void> {
    await this.#rest.call({ method: 'PUT', path: '/v1/host-key', json: key })
  }

  /** `PUT /v1/key-persistence`: keeps the KEKs across restarts, sealed to the host's TPM; 422 where there is none. */
  enableKeyPersistence(request: EnableKeyPersistence): Promise<KeyPersistence> {
    return this.#rest.call({ method: 'PUT', path: '/v1/key-persistence', json: request })
  }

  /** `DELETE /v1/key-persistence`: erases what was kept; fine when it is off. */
  disableKeyPersistence(): Promise<KeyPersistence> {
    return this.#rest.call({ method: 'DELETE', path: '/v1/key-persistence' })
  }

  /** `GET /v1/dumps`: the core dumps that lie sealed on the host. */
  dumps(): Promise<CoreDumps> {
    return this.#rest.call({ method: 'GET', path: '/v1/dumps' })
  }

  /** `POST /v1/dumps/{dump}/open`, or `…/open-with-key` for a host key that the host does not hold: the dump, plain. */
  openDump(dump: string, hostKey: Secret | null, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: pathOf('v1', 'dumps', dump, hostKey === null ? 'open' : 'open-with-key'),
      ...(hostKey === null ? {} : { content: hostKey }),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** `POST /v1/support-bundle/plan`: what a bundle would have. */
  planSupportBundle(request: TakeSupportBundle): Promise<SupportBundlePlan> {
    return this.#rest.call({ method: 'POST', path: '/v1/support-bundle/plan', json: request })
  }

  /** `POST /v1/support-bundle`: the bundle as it is made, sealed or plain. */
  takeSupportBundle(request: TakeSupportBundle, signal?: AbortSignal): Promise<Readable> {
    return this.#rest.flow({
      method: 'POST',
      path: '/v1/support-bundle',
      json: request,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** `POST /v1/vms/{vmId}/unlock`: opens every key record with the keys held, and says whether that works. */
  unlock(vm: VmAuthority): Promise<LockState> {
    return this.#rest.call({ method: 'POST', path: pathOf('v1', 'vms', vm.vmId, 'unlock'), json: vm })
  }

  /** `POST /v1/vms/{vmId}/files`: what lies in the VM's folder. */
  files(vm: VmAuthority): Promise<VmFiles> {
    return this.#rest.call({ method: 'POST', path: pathOf('v1', 'vms', vm.vmId, 'files'), json: vm })
  }

  /** `POST /v1/datastores/browse`: the folders of a datastore that have a `vm.json`. */
  browseDatastore(request: BrowseDatastore): Promise<FoundFolders> {
    return this.#rest.call({ method: 'POST', path: '/v1/datastores/browse', json: request })
  }

  /** `POST /v1/datastores/inspect`: what the `vm.json` of a folder says; a hint until `unlock` has opened every record. */
  inspectVm(request: InspectVm): Promise<FoundVm> {
    return this.#rest.call({ method: 'POST', path: '/v1/datastores/inspect', json: request })
  }

  /**
   * `POST /v1/vms/{vmId}/export`: a disk's image, plain, as it comes; the VM is not changed meanwhile. `signal` gives it up.
   */
  exportDisk(request: ExportDisk, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: pathOf('v1', 'vms', request.vm.vmId, 'export'),
      json: request,
      timeoutMs: 600_000,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /**
   * `POST /v1/vms/{vmId}/header-backup`: a backup of an encrypted disk's LUKS header with its key record, to be kept elsewhere. It
   * takes no key. `signal` gives it up.
   */
  backupHeader(request: BackupHeader, signal?: AbortSignal): Promise<StreamedAnswer> {
    return this.#rest.stream({
      method: 'POST',
      path: pathOf('v1', 'vms', request.vm.vmId, 'header-backup'),
      json: request,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** `POST /v1/layers/remove`: removes the files of a layer that belongs to no VM; fine when they are gone. */
  async removeLayer(layer: RemoveLayer): Promise<void> {
    await this.#rest.call({ method: 'POST', path: '/v1/layers/remove', json: layer })
  }

  /** `PUT /v1/operations/{id}`: starts it; the same again gives its status. */
  startOperation(operationId: string, operation: OperationRequest): Promise<OperationStatus> {
    return this.#rest.call({ method: 'PUT', path: pathOf('v1', 'operations', operationId), json: operation })
  }

  /** `PUT /v1/operations/{id}/content`: the bytes that an import or a restore waits for; answers when they are on disk. */
  sendContent(
    operationId: string,
    content: Readable,
    contentBytes: number,
    signal?: AbortSignal,
  ): Promise<OperationStatus> {
    return this.#rest.call({
      method: 'PUT',
      path: pathOf('v1', 'operations', operationId, 'content'),
      content,
      contentBytes,
      // The sender may be slow, the operation paused, and what comes after the last byte as long as the image is large.
      timeoutMs: 0,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** `GET /v1/operations/{id}` */
  operation(operationId: string): Promise<OperationStatus> {
    return this.#rest.call({ method: 'GET', path: pathOf('v1', 'operations', operationId) })
  }

  /**
   * `POST /v1/operations/{id}/recover`: after a restart of the agent (or of the control plane) brings an operation that
   * nobody finished to an end: gives its status when it is known or runs; else finishes what had been committed (`done`)
   * or undoes what had not (`failed`, code `interrupted`). The same request body as at the start.
   */
  recoverOperation(operationId: string, operation: OperationRequest): Promise<OperationStatus> {
    return this.#rest.call({
      method: 'POST',
      path: pathOf('v1', 'operations', operationId, 'recover'),
      json: operation,
    })
  }

  /** `POST /v1/operations/{id}/cancel`: asks it to stop; it ends `failed` with `cancelled`, or `done` when too late. */
  cancelOperation(operationId: string): Promise<OperationStatus> {
    return this.#rest.call({ method: 'POST', path: pathOf('v1', 'operations', operationId, 'cancel') })
  }

  /** `POST /v1/operations/{id}/pause`: it stops moving data, at once, until it is resumed; fine when it is paused. */
  pauseOperation(operationId: string): Promise<OperationStatus> {
    return this.#rest.call({ method: 'POST', path: pathOf('v1', 'operations', operationId, 'pause') })
  }

  /** `POST /v1/operations/{id}/resume`: fine when it is not paused. */
  resumeOperation(operationId: string): Promise<OperationStatus> {
    return this.#rest.call({ method: 'POST', path: pathOf('v1', 'operations', operationId, 'resume') })
  }

  /** `PUT /v1/operations/{id}/speed` */
  limitOperation(operationId: string, speed: Speed): Promise<OperationStatus> {
    return this.#rest.call({ method: 'PUT', path: pathOf('v1', 'operations', operationId, 'speed'), json: speed })
  }

  /** `PUT /v1/operations/{id}/passphrase`: opens the foreign volume that an `import-volume` is about; before its content. */
  async sendPassphrase(operationId: string, passphrase: Secret): Promise<void> {
    await this.#rest.call({
      method: 'PUT',
      path: pathOf('v1', 'operations', operationId, 'passphrase'),
      content: passphrase,
    })
  }

  /** `DELETE /v1/operations/{id}`: the outcome is on record; the agent may forget it. Refused (409) while it runs. */
  async forgetOperation(operationId: string): Promise<void> {
    await this.#rest.call({ method: 'DELETE', path: pathOf('v1', 'operations', operationId) })
  }

  /** `GET /v1/machines`: the VMs that have a QEMU on this host, and those that ended and were not forgotten yet. */
  machines(): Promise<MachineList> {
    return this.#rest.call({ method: 'GET', path: '/v1/machines' })
  }

  /** `PUT /v1/machines/{vmId}`: starts a VM; answers when its guest runs. 409 with another lease, or while the VM is busy. */
  powerOn(request: PowerOn, signal?: AbortSignal): Promise<MachineStatus> {
    return this.#rest.call({
      method: 'PUT',
      path: pathOf('v1', 'machines', request.vm.vmId),
      json: request,
      timeoutMs: powerTimeoutMs,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** `POST /v1/machines/{vmId}/power`; `power-off` answers when QEMU is gone and the VM's lock is free. 404 where it does not run. */
  changePower(vmId: string, change: ChangePower): Promise<MachineStatus> {
    return this.#rest.call({
      method: 'POST',
      path: pathOf('v1', 'machines', vmId, 'power'),
      json: change,
      timeoutMs: powerTimeoutMs,
    })
  }

  /** `DELETE /v1/machines/{vmId}`: its end is on record. Refused (409) while it runs; fine where there is none. */
  async forgetMachine(vmId: string): Promise<void> {
    await this.#rest.call({ method: 'DELETE', path: pathOf('v1', 'machines', vmId) })
  }
}

/** Starting takes as long as the host needs to open the disks and to load the firmware, on a busy machine. */
const powerTimeoutMs = 120_000
