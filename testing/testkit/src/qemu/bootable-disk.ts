import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isInstalled } from '../installed.ts'
import { guestFiles, guestSkip } from './guest-files.ts'

const run = promisify(execFile)

/** Kernel and first file system take 15 MiB. */
const sizeBytes = 20 * 1_048_576
const sectorBytes = 512

/** Why a test with a disk that boots is skipped; `false` when all that it takes is installed. */
export const bootableSkip: string | false = guestSkip === false ? missingTools() : guestSkip

/** Makes the raw image of a disk from which a BIOS boots the guest of `guestFiles`. */
export async function makeBootableDisk(path: string): Promise<void> {
  const { kernel, initrd, commandLine } = await guestFiles()
  const work = mkdtempSync(join(tmpdir(), 'cryptvisor-boot-'))
  try {
    const menu = join(work, 'syslinux.cfg')
    writeFileSync(
      menu,
      `DEFAULT guest\nPROMPT 0\nLABEL guest\n  KERNEL vmlinuz\n  INITRD initrd\n  APPEND ${commandLine}\n`,
    )
    writeFileSync(path, '')
    truncateSync(path, sizeBytes)
    const geometry = ['-T', String(sizeBytes / sectorBytes), '-h', '16', '-s', '63']
    // mtools are strict about geometries that no BIOS looks at any more.
    const env = { ...process.env, MTOOLS_SKIP_CHECK: '1' }
    await run('mformat', ['-i', path, ...geometry, '-v', 'GUEST', '::'], { env })
    for (const [from, name] of [
      [kernel, 'vmlinuz'],
      [initrd, 'initrd'],
      [menu, 'syslinux.cfg'],
    ] as const) {
      await run('mcopy', ['-i', path, from, `::${name}`], { env })
    }
    await run('syslinux', ['--install', path], { env })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function missingTools(): string | false {
  const missing = ['mformat', 'mcopy', 'syslinux'].filter((command) => !isInstalled(command))
  return missing.length > 0 && `${missing.join(', ')}: not installed (apt install syslinux mtools)`
}
