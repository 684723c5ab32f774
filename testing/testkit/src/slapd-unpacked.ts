import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Debian's slapd starts itself when it is installed; what it needs beside itself starts nothing. */
const packages = ['slapd', 'libltdl7', 'libwrap0']

const cache = fileURLToPath(new URL('../../../node_modules/.cache/slapd', import.meta.url))

/**
 * OpenLDAP's server from Debian's packages, unpacked and not installed: gives the folder that stands for `/`. It is fetched
 * once. Throws where apt cannot fetch it.
 */
export async function unpackSlapd(): Promise<string> {
  const root = join(cache, 'root')
  if (existsSync(root)) return root
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, 'unpacking-'))
  try {
    // As whoever we are: root would have apt fetch as another user, who may not write here.
    await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...packages], { cwd: work })
    for (const name of readdirSync(work)) await run('dpkg', ['-x', name, 'root'], { cwd: work })
    renameSync(join(work, 'root'), root)
  } catch (cause) {
    // Another test was faster.
    if (existsSync(root)) return root
    throw new Error('slapd cannot be fetched: «apt-get update» as root, and try again', { cause })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return root
}
