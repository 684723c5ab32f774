import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { MachineStatus } from '@cryptvisor/host-agent-api'
import { type Qmp, QmpError } from '@cryptvisor/qmp'
import { AgentError } from '../agent-error.ts'
import { readLeases } from './lease-record.ts'
import { isHeld, Machine, type MachineSurroundings, nextRevision } from './machine.ts'
import { runFiles } from './machine-description.ts'
import { type MachineRecord, readMachineRecord, removeMachineRecord, writeMachineRecord } from './machine-record.ts'
import { brokenReason, endReasons } from './machine-state.ts'
import { lastWordsIn, QemuProcess } from './qemu-process.ts'
import { SecretHandover } from './secret-handover.ts'
import { versionOf } from './start-machine.ts'

/**
 * What an agent that starts finds of a VM's machine: the machine, watched from now on; the status of one that ended; `null`: nothing. A
 * QEMU whose guest never ran is ended.
 */
export async function recoverMachine(
  runFolder: string,
  vmId: string,
  surroundings: MachineSurroundings,
): Promise<Machine | MachineStatus | null> {
  const record = await recordOf(runFolder, surroundings)
  if (record?.status.state === 'off') return record.status
  if (record === null && !(await hasMonitor(runFolder))) return null
  const process = await QemuProcess.find(runFolder)
  if (process === null) return await endOf(runFolder, record, surroundings)
  const qmp = await connected(process, surroundings)
  if (qmp === null) {
    if (record === null)
      throw new AgentError('machine-failed', `QEMU ${process.pid} runs VM ${vmId}, and does not answer`)
    // It may be in the middle of a start; nobody else gets the VM meanwhile, since it has the lock.
    return new Machine(record, process, null, surroundings)
  }
  if ((await isHeld(qmp)) && (record === null || record.status.state === 'starting')) {
    qmp.close()
    await process.kill()
    await removeMachineRecord(runFolder)
    return null
  }
  const known = record ?? (await unrecorded(runFolder, vmId, qmp, surroundings.now()))
  return new Machine(running(known, qmp, surroundings.now()), process, qmp, surroundings)
}

/** A record that cannot be read is as good as none. */
async function recordOf(runFolder: string, { log }: MachineSurroundings): Promise<MachineRecord | null> {
  try {
    return await readMachineRecord(runFolder)
  } catch (error) {
    log.error({ err: error, runFolder }, 'the record of a machine cannot be read')
    return null
  }
}

async function hasMonitor(runFolder: string): Promise<boolean> {
  return await access(join(runFolder, runFiles.monitor)).then(
    () => true,
    () => false,
  )
}

/** How one ended whose QEMU is gone; `null`: its guest never ran. */
async function endOf(
  runFolder: string,
  record: MachineRecord | null,
  { now }: MachineSurroundings,
): Promise<MachineStatus | null> {
  if (record === null) return null
  if (record.status.state === 'starting') {
    await removeMachineRecord(runFolder)
    return null
  }
  const { ending, status } = record
  const broken = brokenReason({ exitCode: null, signal: null }, await lastWordsIn(runFolder))
  const reason = { ...endReasons, broken }
  const ended = ending ?? 'broken'
  const since = now()
  const off = {
    ...status,
    state: 'off',
    ended,
    reason: reason[ended],
    since,
    revision: nextRevision(status, since),
  } as const
  await writeMachineRecord(runFolder, { ...record, status: off })
  return off
}

/** `null`: its QEMU does not answer now. */
async function connected(process: QemuProcess, { log }: MachineSurroundings): Promise<Qmp | null> {
  try {
    const qmp = await process.connect()
    await new SecretHandover(process.pid, qmp).takeBackAll()
    return qmp
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
    log.warn({ pid: process.pid, reason: error.message }, 'a QEMU does not answer')
    return null
  }
}

/** An agent that was killed after it let the guest run, and before it wrote that down, is followed by this one. */
function running(record: MachineRecord, qmp: Qmp, now: number): MachineRecord {
  const { status } = record
  if (status.state !== 'starting') return record
  const known = {
    ...status,
    state: 'running',
    since: now,
    revision: nextRevision(status, now),
    qemu: versionOf(qmp),
  } as const
  return { ...record, status: known }
}

/** What is known of a machine without its record: it runs, so nobody else may start its VM. */
async function unrecorded(runFolder: string, vmId: string, qmp: Qmp, now: number): Promise<MachineRecord> {
  const { met } = await readLeases(runFolder).catch(() => ({ met: 0 }))
  const { enabled } = await qmp.execute('query-kvm')
  const acceleration = enabled ? 'kvm' : 'tcg'
  const status = { vmId, lease: Math.max(met, 1), acceleration, ended: null, reason: null, since: now } as const
  return {
    ...{ version: 1, vm: null, ending: null },
    status: { ...status, state: 'starting', revision: now, qemu: versionOf(qmp) },
  }
}
