import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Acceleration } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { runTool } from '../process/tool.ts'
import { bootProbe, bootProbeExitCode, bootProbePort } from './boot-probe.ts'
import { cpuModel } from './qemu-arguments.ts'

/** The guest of the probe takes a third of a second under emulation. */
const probeTimeoutMs = 10_000

/**
 * Why guests do not run here with `kind`; `null` when they do. A guest is run to find out: that the device opens, and even that firmware
 * runs, does not say that a Linux does (seen where KVM is itself emulated).
 */
export async function probeAcceleration(kind: 'kvm' | 'tcg'): Promise<string | null> {
  const path = join(tmpdir(), `cryptvisor-probe-${randomUUID()}`)
  await using disk = await open(
    path,
    constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  )
  await unlink(path)
  await disk.write(bootProbe())
  const { exitCode, stderr } = await runTool(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-m', '32M'],
      ...['-machine', `q35,accel=${kind}`, '-cpu', cpuModel(kind)],
      ...['-blockdev', 'driver=raw,node-name=probe,read-only=on,file.driver=file,file.filename=/proc/self/fd/3'],
      ...['-device', 'virtio-blk-pci,drive=probe', '-device', `isa-debug-exit,iobase=${bootProbePort},iosize=2`],
    ],
    { fd: disk.fd, timeoutMs: probeTimeoutMs },
  )
  if (exitCode === bootProbeExitCode) return null
  const said = stderr.split('\n').findLast((line) => line.trim() !== '')
  return `a guest that was run with ${kind} to find out did not get far (${said ?? `exit code ${exitCode}`})`
}

/** What machines of this host run with. It is found out once, since that takes a moment. */
export class HostAcceleration {
  readonly #probe: (kind: 'kvm' | 'tcg') => Promise<string | null>
  #kvmProblem: Promise<string | null> | null = null

  constructor(probe = probeAcceleration) {
    this.#probe = probe
  }

  /** What `setting` comes to here. Throws AgentError `machine-failed` where it is `kvm` and guests do not run with that. */
  async of(setting: Acceleration): Promise<'kvm' | 'tcg'> {
    if (setting === 'tcg') return 'tcg'
    const problem = await this.kvmProblem()
    if (problem === null) return 'kvm'
    if (setting === 'auto') return 'tcg'
    throw new AgentError(
      'machine-failed',
      `this host’s machines are to run with KVM, and ${problem}: mend it, or let them run with «auto»`,
    )
  }

  /** Why guests do not run here with KVM; `null` when they do. */
  kvmProblem(): Promise<string | null> {
    this.#kvmProblem ??= this.#probe('kvm')
    return this.#kvmProblem
  }
}
