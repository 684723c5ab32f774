import { readFile, stat, writeFile } from 'node:fs/promises'
import { clientKeySizeMax } from '@cryptvisor/control-plane-api'
import { Secret } from '@cryptvisor/secret'
import { CliError } from './cli-error.ts'

/** PEM files are small; anything larger is another file. */
const pemSizeMax = 65_536

/** Reads certificates, PEM. Throws `CliError` `bad-file`, naming the option. */
export async function readPem(option: string, path: string): Promise<string> {
  return (await readPemFile(option, path, pemSizeMax)).toString('utf8')
}

/** Reads a private key; no string is made of it. Throws `CliError` `bad-file`. */
export async function readKey(option: string, path: string): Promise<Secret> {
  return Secret.from(await readPemFile(option, path, clientKeySizeMax))
}

/** Writes something public, PEM, to a file that is not there yet. Throws `CliError` `bad-file`. */
export async function writePem(option: string, path: string, pem: string): Promise<void> {
  try {
    await writeFile(path, pem, { flag: 'wx' })
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    const why = code === 'EEXIST' ? 'is there already, and is not overwritten' : `cannot be written: ${code}`
    throw new CliError('bad-file', `${option}: ${path} ${why}`, { field: option, cause })
  }
}

/** Errors name the option and the file, never what is in it. */
async function readPemFile(option: string, path: string, sizeMax: number): Promise<Buffer> {
  let bytes: Buffer
  try {
    const { size } = await stat(path)
    if (size > sizeMax)
      throw new CliError('bad-file', `${option}: ${path} is too large for a PEM file`, { field: option })
    bytes = await readFile(path)
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `${option}: ${path} cannot be read: ${code}`, { field: option, cause })
  }
  if (bytes.includes('-----BEGIN ')) return bytes
  bytes.fill(0)
  throw new CliError('bad-file', `${option}: ${path} is not in PEM`, {
    field: option,
    next: 'give a file that holds -----BEGIN …-----',
  })
}
