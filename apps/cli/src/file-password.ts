import { open } from 'node:fs/promises'
import { backupPasswordSizeMax, backupPasswordSizeMin } from '@cryptvisor/control-plane-api'
import { Secret } from '@cryptvisor/secret'
import { CliError } from './cli-error.ts'
import { getPassphrase } from './passphrase.ts'
import type { PasswordOptions } from './password.ts'
import type { Input, Surroundings } from './surroundings.ts'

const newline = 0x0a
const carriageReturn = 0x0d

/**
 * Gets the password that a file is sealed to from standard input, a file, or the terminal (twice for a new one); no string is
 * made of it. Throws `CliError`.
 */
export async function getFilePassword(
  options: PasswordOptions,
  surroundings: Surroundings,
  isNew: boolean,
  of: 'backup' | 'support bundle' = 'backup',
): Promise<Secret> {
  const password = await given(options, surroundings, isNew, of)
  if (!isNew || password.sizeBytes >= backupPasswordSizeMin) return password
  password[Symbol.dispose]()
  throw new CliError('bad-password', `the password has fewer than ${backupPasswordSizeMin} bytes`, {
    next: `it is all that protects the ${of}: choose a long one, and keep it apart from the file`,
  })
}

async function given(
  options: PasswordOptions,
  surroundings: Surroundings,
  isNew: boolean,
  of: string,
): Promise<Secret> {
  if (options.passwordFile !== undefined) return fromFile(options.passwordFile)
  const { stdin } = surroundings
  if (options.passwordStdin === true) {
    if (stdin.isTTY !== true) return oneLine(stdin)
    throw new CliError('bad-password', '--password-stdin: standard input is a terminal, which would show it', {
      field: '--password-stdin',
      next: 'leave the option out to be asked without echo, or pipe the password in',
    })
  }
  if (stdin.isTTY !== true) {
    throw new CliError('bad-password', 'there is no terminal to ask for the password on', {
      next: 'give it by --password-stdin or --password-file FILE',
    })
  }
  const password = await getPassphrase(undefined, surroundings, `Password of the ${of}: `)
  if (!isNew) return password
  using again = await getPassphrase(undefined, surroundings, 'Once more: ')
  if (again.equal(password)) return password
  password[Symbol.dispose]()
  throw new CliError('bad-password', 'the two passwords are not the same', { next: 'run the command again' })
}

async function fromFile(path: string): Promise<Secret> {
  try {
    await using file = await open(path, 'r')
    return await oneLine(file.createReadStream({ autoClose: false }))
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `--password-file: ${path} cannot be read: ${code}`, {
      field: '--password-file',
      cause,
    })
  }
}

/** All that comes, without one line end. */
async function oneLine(source: Input | AsyncIterable<Uint8Array>): Promise<Secret> {
  const bytes = new Uint8Array(backupPasswordSizeMax + 3)
  let size = 0
  try {
    for await (const chunk of source) {
      // Nothing decodes these streams: they give bytes.
      const part = chunk as Uint8Array
      const room = bytes.length - size
      bytes.set(part.subarray(0, room), size)
      size += Math.min(part.length, room)
      part.fill(0)
      if (size === bytes.length) break
    }
    if (size > 0 && bytes[size - 1] === newline) size--
    if (size > 0 && bytes[size - 1] === carriageReturn) size--
    const line = bytes.subarray(0, size)
    if (size > 0 && size <= backupPasswordSizeMax && !line.some((byte) => byte === newline || byte === 0)) {
      return Secret.from(line)
    }
  } finally {
    bytes.fill(0)
  }
  throw new CliError('bad-password', `a password is one line of 1 to ${backupPasswordSizeMax} bytes`, {
    next: 'give the password and nothing else',
  })
}
