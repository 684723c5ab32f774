import type { Readable } from 'node:stream'
import type {
  AddDisk,
  AttachDisk,
  DetachDisk,
  DetachedDisk,
  Disk,
  ExportDisk,
  ImportDisk,
  ImportVolume,
  RestoreHeader,
  Task,
} from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { PolicyWork } from '../policies/policy-work.ts'
import { sendImportContent, sendImportPassphrase } from '../tasks/import-request.ts'
import type { TaskDesk } from '../tasks/task-desk.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import type { DiskExports, ExportedDisk } from './disk-export.ts'
import { findVm } from './lookup.ts'
import type { VmRequests } from './vm-requests.ts'
import { vmView } from './vm-view.ts'

/** What disks are worked on with. */
export interface DiskDeskParts {
  readonly requests: VmRequests
  readonly exports: DiskExports
  readonly policyWork: PolicyWork
  readonly runner: TaskRunner
  readonly tasks: TaskDesk
}

/** What users do with disks. Every method throws `ControlPlaneError`. */
export class DiskDesk {
  readonly #work: WorkContext
  readonly #parts: DiskDeskParts

  constructor(work: WorkContext, parts: DiskDeskParts) {
    this.#work = work
    this.#parts = parts
  }

  async list(nameOrId: string): Promise<Disk[]> {
    return vmView(await findVm(this.#work.database, nameOrId)).disks
  }

  async add(principal: Principal, nameOrId: string, request: AddDisk): Promise<Task> {
    const { requests, tasks } = this.#parts
    return tasks.view(await requests.addDisk(principal, nameOrId, request))
  }

  /** Makes a layer that was detached a disk of a VM. */
  async attach(principal: Principal, nameOrId: string, request: AttachDisk): Promise<Task> {
    const { requests, tasks } = this.#parts
    return tasks.view(await requests.attachDisk(principal, nameOrId, request))
  }

  /** Takes a disk from a VM; its layer stays, unless its data is to go, too. */
  async detach(principal: Principal, nameOrId: string, number: number, request: DetachDisk): Promise<Task> {
    const { requests, tasks } = this.#parts
    return tasks.view(await requests.detachDisk(principal, nameOrId, number, request.remove === true))
  }

  /** Those on datastores whose files `principal` may list. */
  listDetached(principal: Principal): Promise<DetachedDisk[]> {
    return this.#parts.policyWork.detachedDisks(principal)
  }

  async removeDetached(principal: Principal, layerId: string): Promise<Task> {
    const { policyWork, tasks } = this.#parts
    return tasks.view(await policyWork.removeDetached(principal, layerId))
  }

  /** The task waits for `sendContent`. */
  async importImage(principal: Principal, nameOrId: string, request: ImportDisk): Promise<Task> {
    const { requests, tasks } = this.#parts
    return tasks.view(await requests.importDisk(principal, nameOrId, request))
  }

  /** The task waits for `sendPassphrase`, then for `sendContent`. */
  async importVolume(principal: Principal, nameOrId: string, request: ImportVolume): Promise<Task> {
    const { requests, tasks } = this.#parts
    return tasks.view(await requests.importVolume(principal, nameOrId, request))
  }

  /** Begins to read a disk out, plain; `signal` fires when whoever reads it is gone. */
  exportImage(
    principal: Principal,
    nameOrId: string,
    number: number,
    request: ExportDisk,
    signal: AbortSignal,
  ): Promise<ExportedDisk> {
    return this.#parts.exports.begin(principal, nameOrId, number, request, signal)
  }

  /** Begins to read out a backup of an encrypted disk's header; `signal` fires when whoever reads it is gone. */
  backupHeader(principal: Principal, nameOrId: string, number: number, signal: AbortSignal): Promise<ExportedDisk> {
    return this.#parts.exports.beginHeader(principal, nameOrId, number, signal)
  }

  /** The task waits for `sendContent`. */
  async restoreHeader(principal: Principal, nameOrId: string, number: number, request: RestoreHeader): Promise<Task> {
    const { requests, tasks } = this.#parts
    return tasks.view(await requests.restoreHeader(principal, nameOrId, number, request))
  }

  /** Hands on the passphrase of the volume that a task imports; it stays the caller's. */
  async sendPassphrase(taskId: string, passphrase: Secret, signal: AbortSignal): Promise<void> {
    await sendImportPassphrase(this.#work.database, this.#parts.runner, taskId, passphrase, signal)
  }

  /**
   * Sends the image that an import waits for on to its host, and gives the task when all of it is on disk there.
   * `contentBytes`: as the sender says, `null` when it does not. `signal` fires when the sender is gone.
   */
  async sendContent(
    taskId: string,
    content: Readable,
    contentBytes: number | null,
    signal: AbortSignal,
  ): Promise<Task> {
    const { runner, tasks } = this.#parts
    const { database } = this.#work
    return tasks.view(await sendImportContent(database, runner, taskId, { content, contentBytes, signal }))
  }
}
