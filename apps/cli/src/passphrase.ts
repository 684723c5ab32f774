import { open } from 'node:fs/promises'
import { passphraseSizeMax } from '@cryptvisor/control-plane-api'
import { Secret } from '@cryptvisor/secret'
import { CliError } from './cli-error.ts'
import type { Input, Surroundings } from './surroundings.ts'

const enter = new Set([0x0a, 0x0d])
const erase = new Set([0x08, 0x7f])
/** Ctrl-C and Ctrl-D, as a terminal gives them that does not act on them itself. */
const giveUp = new Set([0x03, 0x04])

/** A terminal that can be told to show nothing. */
type Terminal = Input & { setRawMode?: (raw: boolean) => void }

/** The option that names the file; what is asked for is called after it. */
export type PassphraseOption = '--passphrase-file' | '--secret-file' | '--bind-password-file'

/**
 * Gets a passphrase or secret: every byte of `file`, or one line that is typed on the terminal without being shown.
 * No string is made of it. Throws `CliError`.
 */
export async function getPassphrase(
  file: string | undefined,
  surroundings: Surroundings,
  prompt: string,
  option: PassphraseOption = '--passphrase-file',
): Promise<Secret> {
  if (file !== undefined) return readPassphraseFile(file, option)
  const { stdin, stderr } = surroundings
  if (stdin.isTTY !== true) {
    throw new CliError('bad-password', `there is no terminal to ask for the ${wordOf(option)} on`, {
      next: `give it by ${option} FILE`,
    })
  }
  stderr.write(prompt)
  try {
    return await typed(stdin)
  } finally {
    stderr.write('\n')
  }
}

const wordOf = (option: PassphraseOption) => (option === '--secret-file' ? 'secret' : 'passphrase')

/** A pipe will do, too: it does not tell its size beforehand. */
async function readPassphraseFile(path: string, option: PassphraseOption): Promise<Secret> {
  const bytes = new Uint8Array(passphraseSizeMax + 1)
  let size = 0
  try {
    await using file = await open(path, 'r')
    for (;;) {
      const { bytesRead } = await file.read(bytes, size, bytes.length - size)
      size += bytesRead
      if (bytesRead === 0 || size === bytes.length) break
    }
    if (size > 0 && size <= passphraseSizeMax) return Secret.from(bytes.subarray(0, size))
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `${option}: ${path} cannot be read: ${code}`, {
      field: option,
      cause,
    })
  } finally {
    bytes.fill(0)
  }
  throw new CliError('bad-password', `${option}: ${path} does not hold 1 to ${passphraseSizeMax} bytes`, {
    field: option,
  })
}

async function typed(terminal: Terminal): Promise<Secret> {
  const line = new Uint8Array(passphraseSizeMax)
  let size = 0
  terminal.setRawMode?.(true)
  try {
    for await (const chunk of terminal.iterator({ destroyOnReturn: false })) {
      // A terminal that nothing decodes gives bytes.
      const bytes = chunk as Uint8Array
      try {
        for (const byte of bytes) {
          if (giveUp.has(byte)) throw new CliError('interrupted', 'no passphrase was given')
          if (enter.has(byte)) return taken(line, size)
          if (erase.has(byte)) size = withoutLast(line, size)
          else if (size === line.length) throw new CliError('bad-password', 'a passphrase is not that long')
          else line[size++] = byte
        }
      } finally {
        bytes.fill(0)
      }
    }
    throw new CliError('interrupted', 'no passphrase was given')
  } finally {
    terminal.setRawMode?.(false)
    terminal.pause()
    line.fill(0)
  }
}

function taken(line: Uint8Array, size: number): Secret {
  if (size === 0) throw new CliError('bad-password', 'a passphrase has one character at least')
  return Secret.from(line.subarray(0, size))
}

/** Takes the last character off: in UTF-8 its first byte is the last one that does not continue another. */
function withoutLast(line: Uint8Array, size: number): number {
  let end = Math.max(0, size - 1)
  while (end > 0 && ((line[end] ?? 0) & 0xc0) === 0x80) end--
  return end
}
