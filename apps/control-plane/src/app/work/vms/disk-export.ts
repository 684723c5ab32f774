import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { ExportDisk } from '@cryptvisor/control-plane-api'
import { RestClientError, type StreamedAnswer } from '@cryptvisor/rest'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection, NewEvent, Principal } from '../../ports.ts'
import { agentRefusal } from '../agent-refusal.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { requirePowerFor } from '../machines/power-rules.ts'
import { watchedStream } from '../watched-stream.ts'
import { requireConnection, requireIdle, requireNotStopped } from './change-request.ts'
import { encryptedDisk } from './header-restore.ts'
import { findVm } from './lookup.ts'
import { authorityOf, keysOf, type VmRecord } from './vm-store.ts'

/** A disk's image, or its header, on its way out. */
export interface ExportedDisk {
  readonly content: Readable
  readonly sizeBytes: number
}

/** Reads disks out through the control plane, which keeps nothing of them. */
export class DiskExports {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #running = new Set<Promise<void>>()

  constructor(work: WorkContext, handOver: HandOver) {
    this.#work = work
    this.#handOver = handOver
  }

  /**
   * Begins to read a disk. That it is read is on record before the first byte goes out, and so is, later, that it broke
   * off. Throws `ControlPlaneError`.
   */
  async begin(
    principal: Principal,
    nameOrId: string,
    number: number,
    { format }: ExportDisk,
    signal: AbortSignal,
  ): Promise<ExportedDisk> {
    const vm = await findVm(this.#work.database, nameOrId)
    const disk = vm.disks.find((candidate) => candidate.number === number)
    if (disk === undefined) {
      throw new ControlPlaneError('not-found', `VM ${vm.row.name} has no disk ${number}`, { field: 'number' })
    }
    if (disk.encryption !== null) requirePrivileges(principal, contentRules.readEncrypted.privileges, vm.objectPath)
    requireIdle(vm)
    requirePowerFor(vm, 'export-disk')
    await requireNotStopped(this.#work.database, vm)
    const connection = requireConnection(this.#work, { id: vm.row.host_id, name: vm.hostName })
    const what = `disk ${number} of VM ${vm.row.name} as ${format}`
    const answer = await this.#ask(connection, vm, principal, disk.id, format, signal)
    const text = `${principal.name} reads out ${what}: ${answer.sizeBytes} bytes, plain`
    return await this.#giveOut(answer, vm, principal, {
      begun: ['vm.disk-exported', text],
      broken: ['vm.disk-export-failed', `Reading out ${what} broke off`],
    })
  }

  /** Begins to read a backup of an encrypted disk's header: ciphertext and wrapped keys, which take no key. The rest as above. */
  async beginHeader(
    principal: Principal,
    nameOrId: string,
    number: number,
    signal: AbortSignal,
  ): Promise<ExportedDisk> {
    const vm = await findVm(this.#work.database, nameOrId)
    const { diskId } = encryptedDisk(vm, number)
    requireIdle(vm)
    requirePowerFor(vm, 'backup-header')
    const { client } = requireConnection(this.#work, { id: vm.row.host_id, name: vm.hostName })
    const stop = AbortSignal.any([signal, this.#work.stopping])
    const what = `the header of disk ${number} of VM ${vm.row.name}`
    const answer = await answerOf(vm, client.backupHeader({ vm: authorityOf(vm), diskId }, stop))
    const text = `${principal.name} reads out ${what}, for a backup: ${answer.sizeBytes} bytes`
    return await this.#giveOut(answer, vm, principal, {
      begun: ['vm.header-backed-up', text],
      broken: ['vm.header-backup-failed', `Reading out ${what} broke off`],
    })
  }

  /** Gives an answer on, watched; that it begins is on record first. */
  async #giveOut(
    answer: StreamedAnswer,
    vm: VmRecord,
    principal: Principal,
    { begun, broken }: Readonly<Record<'begun' | 'broken', readonly [type: NewEvent['type'], text: string]>>,
  ): Promise<ExportedDisk> {
    const event = (type: NewEvent['type'], text: string): NewEvent => ({
      ...{ type, host: vm.hostName, vm: vm.row.name, text, user: principal.name },
    })
    const { stopping, timings } = this.#work
    const seconds = Math.round(timings.contentWaitMs / 1000)
    const quiet = `nothing was read for ${seconds} seconds`
    const content = watchedStream(answer.stream, timings.contentWaitMs, stopping, quiet)
    // It may break off before anybody reads it: whoever watches it learns that, too.
    content.on('error', () => undefined)
    try {
      await this.#work.events.record(event(...begun))
    } catch (error) {
      content.destroy()
      throw error
    }
    const watching = this.#watch(content, (reason) => event(broken[0], `${broken[1]}: ${reason}`))
    this.#running.add(watching)
    void watching.finally(() => this.#running.delete(watching))
    if (content.errored !== null) throw agentRefusal(`host ${vm.hostName}`, content.errored)
    return { content, sizeBytes: answer.sizeBytes }
  }

  /** Resolves when nothing is read out any more. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running)
  }

  async #ask(
    connection: HostConnection,
    vm: VmRecord,
    principal: Principal,
    diskId: string,
    format: ExportDisk['format'],
    signal: AbortSignal,
  ) {
    const authority = authorityOf(vm)
    const purpose = { host: vm.hostName, vm: vm.row.name, user: principal.name, task: null }
    await this.#handOver.ensureHeld({ name: vm.hostName }, connection, keysOf(authority), purpose)
    const stop = AbortSignal.any([signal, this.#work.stopping])
    return await answerOf(vm, connection.client.exportDisk({ vm: authority, diskId, format }, stop))
  }

  async #watch(stream: Readable, failure: (reason: string) => NewEvent): Promise<void> {
    try {
      await finished(stream, { cleanup: true })
    } catch (error) {
      this.#work.log.warn({ err: error }, 'a disk was not read out whole')
      const left = error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
      const reason = left || !(error instanceof Error) ? 'whoever read it went away' : error.message
      await this.#work.events.record(failure(reason)).catch((cause: unknown) => {
        this.#work.log.error({ err: cause }, 'an event was not recorded')
      })
    }
  }
}

/** What a VM's host answers. Throws `ControlPlaneError` for what it refuses. */
async function answerOf(vm: VmRecord, asked: Promise<StreamedAnswer>): Promise<StreamedAnswer> {
  try {
    return await asked
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    throw agentRefusal(`host ${vm.hostName}`, error)
  }
}
