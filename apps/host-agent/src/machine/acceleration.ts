import { access, constants, readdir } from 'node:fs/promises'
import { release } from 'node:os'
import { join } from 'node:path'
import type { Acceleration } from '@cryptvisor/host-agent-api'
import { runTool } from '../process/tool.ts'

/** What a guest's processors are made of. */
export type Accelerator = 'kvm' | 'tcg'

/** How guests run on a host, and why so. */
export interface AccelerationFound {
  readonly accelerator: Accelerator
  /** In words; `null`: KVM works. */
  readonly reason: string | null
}

/** A Linux that has not come to its end by then hangs. */
const bootTimeoutMs = 30_000

const bootFolder = '/boot'

/** What a kernel says that has done all that it can without a file system. */
const bootedWords = 'Kernel panic - not syncing: VFS'

/** How guests run on this host: as its settings say, else by KVM where a guest really boots with it; tried once, when it is first asked for. */
export class AccelerationChoice {
  readonly #configured: Accelerator | null
  readonly #find: () => Promise<AccelerationFound>
  readonly #say: (found: AccelerationFound) => void
  #found: Promise<AccelerationFound> | null = null

  /** `say` hears what was found, once. */
  constructor(
    configured: Accelerator | null,
    say: (found: AccelerationFound) => void,
    find: () => Promise<AccelerationFound> = findAcceleration,
  ) {
    this.#configured = configured
    this.#say = say
    this.#find = find
  }

  /** How a guest for which this is asked runs. */
  async for(wish: Acceleration): Promise<Accelerator> {
    if (wish !== 'auto') return wish
    if (this.#configured !== null) return this.#configured
    this.#found ??= this.#find().then((found) => {
      this.#say(found)
      return found
    })
    return (await this.#found).accelerator
  }
}

/**
 * Whether KVM works: that its device can be opened is no proof, since there are machines where it can, firmware runs, and every Linux hangs. So
 * this host's own kernel is booted with it, without disks, up to where it finds none.
 */
export async function findAcceleration(
  kernelFolder: string = bootFolder,
  timeoutMs: number = bootTimeoutMs,
): Promise<AccelerationFound> {
  const emulated = (reason: string) => ({ accelerator: 'tcg', reason }) as const
  if (!(await canUse('/dev/kvm'))) return emulated('this host has no KVM that its agent may use (/dev/kvm)')
  const kernel = await kernelIn(kernelFolder)
  if (kernel === null) {
    const cure = 'where it is known to, set acceleration to kvm in config.json'
    return emulated(`whether KVM works cannot be tried: there is no kernel in ${kernelFolder}; ${cure}`)
  }
  if (await boots('kvm', kernel, timeoutMs)) return { accelerator: 'kvm', reason: null }
  return emulated('KVM does not work here: a Linux that was started with it did not come to its end')
}

/** Whether a kernel boots in a QEMU with this accelerator. */
export async function boots(accelerator: Accelerator, kernel: string, timeoutMs: number): Promise<boolean> {
  const { stdout } = await runTool(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-m', '512M'],
      ...['-machine', `q35,accel=${accelerator}`, '-cpu', accelerator === 'kvm' ? 'host' : 'max'],
      ...['-kernel', kernel, '-append', 'console=ttyS0 quiet panic=-1'],
    ],
    { timeoutMs },
  )
  return stdout.includes(bootedWords)
}

/** The running kernel's file, or any; `null`: none that can be read. */
async function kernelIn(folder: string): Promise<string | null> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith('vmlinuz'))
  const name = names.find((each) => each === `vmlinuz-${release()}`) ?? names.toSorted().at(-1)
  const path = name === undefined ? null : join(folder, name)
  return path !== null && (await canUse(path, constants.R_OK)) ? path : null
}

async function canUse(path: string, mode = constants.R_OK | constants.W_OK): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  )
}
