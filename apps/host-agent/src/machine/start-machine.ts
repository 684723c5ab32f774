import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Acceleration, MachineStatus, PowerOn } from '@cryptvisor/host-agent-api'
import type { Qmp } from '@cryptvisor/qmp'
import { AgentError } from '../agent-error.ts'
import { errnoOf } from '../io-error.ts'
import { giveDisks } from './give-disks.ts'
import { nextRevision } from './machine.ts'
import { portCountMax, runFiles } from './machine-description.ts'
import { type MachineRecord, writeMachineRecord } from './machine-record.ts'
import { QemuProcess } from './qemu-process.ts'
import { openRunSite, type RunHost } from './run-site.ts'
import { SecretHandover } from './secret-handover.ts'

/** What starting a machine needs of the agent. */
export interface StartContext {
  readonly host: RunHost
  readonly now: () => number
  /** How guests run here when it is asked for so. */
  readonly accelerationOf: (wish: Acceleration) => Promise<'kvm' | 'tcg'>
  /** Whether this host may swap, so that QEMU must keep its memory in RAM. */
  readonly canSwap: () => Promise<boolean>
}

/** How many more disks may be plugged in while the guest runs. */
const sparePortCount = 8

/** A reset takes QEMU milliseconds. */
const resetMs = 10_000

/** A QEMU whose guest runs. */
export interface StartedMachine {
  readonly record: MachineRecord
  readonly process: QemuProcess
  readonly qmp: Qmp
}

/**
 * Starts a VM: locks it, opens it with the keys that this host holds, and lets its guest run when QEMU has all disks and no key that it
 * does not need for them. When that rejects, with AgentError or what `openRunSite` throws, there is no QEMU, and the lock is free. `before`
 * is the last status of the VM's machine here.
 */
export async function startMachine(
  context: StartContext,
  runFolder: string,
  { vm, lease, acceleration: wish }: PowerOn,
  before: MachineStatus | null,
  signal: AbortSignal,
): Promise<StartedMachine> {
  await using site = await openRunSite(context.host, vm)
  const { memoryMib, cpuCount, firmware } = site.details
  if (firmware === 'uefi') {
    throw new AgentError(
      'refused',
      `VM ${vm.name} has UEFI firmware, which this version does not run yet; BIOS it does`,
    )
  }
  const acceleration = await context.accelerationOf(wish)
  signal.throwIfAborted()
  const now = context.now()
  const status = { vmId: vm.vmId, lease, revision: nextRevision(before, now), ended: null, reason: null, since: now }
  const starting: MachineStatus = { ...status, state: 'starting', acceleration, qemu: '' }
  await writeMachineRecord(runFolder, { version: 1, vm, ending: null, status: starting })
  await keepLastLog(runFolder)
  const portCount = Math.min(portCountMax, site.disks.length + sparePortCount)
  const lockMemory = await context.canSwap()
  const description = { vmId: vm.vmId, memoryMib, cpuCount, acceleration, portCount, lockMemory }
  const { process, qmp } = await QemuProcess.start({ description, runFolder, kept: [site.lockDescriptor] })
  try {
    // A guest that shuts down while no agent looks is known to have done so: QEMU waits to be ended.
    await qmp.execute('set-action', { shutdown: 'pause', panic: 'pause', watchdog: 'pause' })
    await giveDisks(process.pid, qmp, new SecretHandover(process.pid, qmp), site.disks)
    await readBootOrder(qmp)
    signal.throwIfAborted()
    await qmp.execute('cont')
    const since = context.now()
    const running = {
      ...starting,
      state: 'running',
      since,
      revision: nextRevision(starting, since),
      qemu: versionOf(qmp),
    } as const
    const record: MachineRecord = { version: 1, vm, ending: null, status: running }
    await writeMachineRecord(runFolder, record)
    return { record, process, qmp }
  } catch (error) {
    qmp.close()
    await process.kill()
    throw error
  }
}

/** The firmware is told which disk is the first at a reset only. */
async function readBootOrder(qmp: Qmp): Promise<void> {
  const since = qmp.mark()
  await qmp.execute('system_reset')
  await qmp.event('RESET', { since, timeoutMs: resetMs })
}

/** QEMU's version, such as `7.2.22`. */
export function versionOf({ greeting }: Qmp): string {
  const { major, minor, micro } = greeting.version.qemu
  return `${major}.${minor}.${micro}`
}

/** The log of the start before stays until the next one. */
async function keepLastLog(runFolder: string): Promise<void> {
  const path = join(runFolder, runFiles.log)
  await rename(path, `${path}.1`).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
  })
}
