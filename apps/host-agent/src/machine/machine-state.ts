import type { DiskAuthority, MachineStatus } from '@cryptvisor/host-agent-api'
import type { KnownEvent, RunStatus } from '@cryptvisor/qmp'
import { diskOfNode } from './node-names.ts'

/** A state with its reason. */
export interface MachineState {
  readonly state: Exclude<MachineStatus['state'], 'off'>
  readonly reason: string | null
}

/**
 * What QEMU's run state means to users; `null`: the guest has shut down, and its QEMU is to be ended. `blockProblem`: the last error of a
 * disk that held the guest.
 */
export function machineStateOf(status: RunStatus, blockProblem: string | null): MachineState | null {
  switch (status) {
    case 'prelaunch':
    case 'inmigrate':
      return { state: 'starting', reason: null }
    case 'running':
      return { state: 'running', reason: null }
    case 'shutdown':
      return null
    case 'io-error':
      return { state: 'failed', reason: blockProblem ?? 'a disk gives errors' }
    case 'internal-error':
      return { state: 'failed', reason: 'QEMU cannot go on with this guest: reset it' }
    case 'guest-panicked':
      return { state: 'failed', reason: 'the kernel of its guest panicked: reset it' }
    case 'watchdog':
      return { state: 'failed', reason: 'the watchdog of its guest has expired: reset it' }
    case 'paused':
    case 'suspended':
    case 'debug':
    case 'postmigrate':
    case 'finish-migrate':
    case 'restore-vm':
    case 'save-vm':
    case 'colo':
      return { state: 'paused', reason: null }
  }
}

/** An error of a disk, in words; `null` for one that holds no guest. */
export function blockProblemOf({ data }: KnownEvent<'BLOCK_IO_ERROR'>, disks: readonly DiskAuthority[]): string | null {
  if (data.action !== 'stop') return null
  const disk = diskOfNode(data['node-name'] ?? '', disks)
  const what = disk === null ? 'a disk' : `disk ${disk.number}`
  const why = data.nospace === true ? 'its datastore is full' : data.reason
  return `${what} cannot be ${data.operation === 'read' ? 'read' : 'written'}: ${why}`
}

/** Why a machine is off whose end was asked for, or its guest's own. */
export const endReasons = { asked: 'it was powered off', guest: 'its guest shut down' } as const

/** How a QEMU that nobody had asked to end did so, in words. */
export function brokenReason(
  { exitCode, signal }: { readonly exitCode: number | null; readonly signal: string | null },
  lastWords: string | null,
): string {
  const how =
    signal !== null
      ? `QEMU was ended by ${signal}`
      : exitCode !== null
        ? `QEMU ended with exit code ${exitCode}`
        : 'QEMU has ended; it was not seen how'
  return (lastWords === null ? how : `${how}; the last line of its log: ${lastWords}`).slice(0, reasonLengthMax)
}

/** What the API lets a reason have. */
const reasonLengthMax = 1024
