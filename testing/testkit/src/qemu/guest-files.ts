import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { isInstalled } from '../installed.ts'
import { guestInit, guestModules, guestStamper } from './guest-scripts.ts'
import { qemuSkip } from './test-qemu.ts'

const run = promisify(execFile)

/** The package whose dependency is the kernel: small, with all of virtio. */
const kernelPackage = 'linux-image-cloud-amd64'

const downloadTimeoutMs = 240_000
const outputSizeMax = 64 * 1_048_576

/** Why a test with a guest is skipped; `false` when all that it takes is installed. */
export const guestSkip: string | false = qemuSkip === false ? missingTools() : qemuSkip

/** A Linux to boot: its kernel, and a first file system with busybox. */
export interface GuestFiles {
  readonly kernel: string
  readonly initrd: string
  readonly commandLine: string
}

/**
 * A guest that boots in two seconds without KVM, and has a shell on its serial line. It is made once on each machine: the kernel is taken
 * out of Debian's package, which is not installed. Rejects when it cannot be downloaded.
 */
export async function guestFiles(): Promise<GuestFiles> {
  const recipe = createHash('sha256').update(guestInit).update(guestStamper).update(guestModules.join()).digest('hex')
  const folder = join(tmpdir(), `cryptvisor-guest-${recipe.slice(0, 16)}`)
  if (!existsSync(folder)) await makeIn(folder)
  return {
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd'),
    commandLine: 'console=ttyS0 quiet panic=-1 nokaslr',
  }
}

/** Whoever is done first has made it; the others' is thrown away. */
async function makeIn(folder: string): Promise<void> {
  const work = mkdtempSync(`${folder}-`)
  try {
    const unpacked = await unpackKernel(work)
    const made = join(work, 'made')
    mkdirSync(made)
    const boot = join(unpacked, 'boot')
    const kernel = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'))
    if (kernel === undefined) throw new Error(`${kernelPackage} has no kernel`)
    copyFileSync(join(boot, kernel), join(made, 'vmlinuz'))
    await makeInitrd(work, join(unpacked, 'lib/modules'), join(made, 'initrd'))
    if (!existsSync(folder)) {
      try {
        renameSync(made, folder)
      } catch (error) {
        if (!existsSync(folder)) throw error
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function unpackKernel(work: string): Promise<string> {
  const { stdout } = await run('apt-cache', ['depends', kernelPackage])
  const found = /Depends: (linux-image-\S+)/.exec(stdout)?.[1]
  if (found === undefined) throw new Error(`apt does not know ${kernelPackage}: run apt-get update`)
  const download = () => run('apt-get', ['download', '-q', found], { cwd: work, timeout: downloadTimeoutMs })
  // What apt knows may be older than what there is.
  await download().catch(async () => {
    await run('apt-get', ['update', '-q'], { timeout: downloadTimeoutMs })
    await download()
  })
  const archive = readdirSync(work).find((name) => name.endsWith('.deb'))
  if (archive === undefined) throw new Error(`${found} was not downloaded`)
  const unpacked = join(work, 'kernel')
  await run('dpkg-deb', ['-x', join(work, archive), unpacked])
  return unpacked
}

async function makeInitrd(work: string, modules: string, target: string): Promise<void> {
  const root = join(work, 'root')
  for (const name of ['bin', 'dev', 'proc', 'sys', 'mnt', 'tmp', 'lib', 'etc'])
    mkdirSync(join(root, name), { recursive: true })
  const { stdout: busybox } = await run('sh', ['-c', 'command -v busybox'])
  cpSync(busybox.trim(), join(root, 'bin/busybox'), { dereference: true })
  const all = readdirSync(modules, { recursive: true, encoding: 'utf8' })
  for (const name of guestModules) {
    const path = all.find((each) => basename(each) === `${name}.ko`)
    if (path === undefined) throw new Error(`the kernel has no module ${name}`)
    copyFileSync(join(modules, path), join(root, 'lib', `${name}.ko`))
  }
  for (const [name, script] of Object.entries({ init: guestInit, 'bin/stamper': guestStamper })) {
    writeFileSync(join(root, name), script)
    chmodSync(join(root, name), 0o755)
  }
  const pack = 'find . | cpio --create --format=newc --quiet | gzip -1'
  const { stdout } = await run('sh', ['-c', pack], { cwd: root, encoding: 'buffer', maxBuffer: outputSizeMax })
  writeFileSync(target, stdout)
}

function missingTools(): string | false {
  const missing = ['busybox', 'cpio', 'apt-get', 'dpkg-deb'].filter((command) => !isInstalled(command))
  return missing.length > 0 && `${missing.join(', ')}: not installed (apt install busybox-static cpio)`
}
