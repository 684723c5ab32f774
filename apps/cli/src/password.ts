import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { CliError } from './cli-error.ts'
import type { Input, Surroundings } from './surroundings.ts'

/** The API takes passwords of at most 256 characters; more bytes than that many can have are no password. */
const passwordBytesMax = 2048

/** Where a password comes from; never from an argument or the environment, which others can see. */
export interface PasswordOptions {
  readonly passwordStdin?: boolean
  readonly passwordFile?: string
}

/** Gets a password from standard input, a file, or the terminal (asking twice for a new one). Throws `CliError`. */
export async function getPassword(
  options: PasswordOptions,
  surroundings: Surroundings,
  prompt: { readonly text: string; readonly isNew: boolean },
): Promise<string> {
  if (options.passwordFile !== undefined) return oneLine(await readPasswordFile(options.passwordFile))
  if (options.passwordStdin === true) return oneLine(await readAll(surroundings.stdin))
  if (surroundings.stdin.isTTY !== true) {
    throw new CliError('bad-password', 'there is no terminal to ask for the password on', {
      next: 'give it by --password-stdin or --password-file FILE',
    })
  }
  const [password = '', again] = await ask(surroundings, prompt.isNew ? [prompt.text, 'Once more: '] : [prompt.text])
  if (prompt.isNew && again !== password) {
    throw new CliError('bad-password', 'the two passwords are not the same', { next: 'run the command again' })
  }
  return oneLine(password)
}

async function readPasswordFile(path: string, option = '--password-file'): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `${option}: ${path} cannot be read: ${code}`, {
      field: option,
      cause,
    })
  }
}

/** Reads standard input as text, as much of it as passwords can have. Throws `CliError` for a terminal. */
export async function readAll(stdin: Input): Promise<string> {
  if (stdin.isTTY === true) {
    throw new CliError('bad-password', '--password-stdin: standard input is a terminal, which would show it', {
      field: '--password-stdin',
      next: 'leave the option out to be asked without echo, or pipe the password in',
    })
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    size += bytes.length
    if (size > passwordBytesMax) break
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The code of a second factor, from a file or the terminal. Throws `CliError`. */
export async function getCode(codeFile: string | undefined, surroundings: Surroundings): Promise<string> {
  if (codeFile !== undefined) return oneLine(await readPasswordFile(codeFile, '--code-file'))
  if (surroundings.stdin.isTTY !== true) {
    throw new CliError(
      'bad-password',
      'a code of the second factor is needed, and there is no terminal to ask for it on',
      {
        next: 'give it by --code-file FILE, or let programs use an API token (cryptvisor token add)',
      },
    )
  }
  const [code = ''] = await ask(surroundings, ['Code of the second factor: '])
  return oneLine(code)
}

/** Takes one line end off. */
function oneLine(text: string): string {
  const line = text.replace(/\r?\n$/, '')
  if (line === '' || Buffer.byteLength(line) > passwordBytesMax || /[\r\n\0]/.test(line)) {
    throw new CliError('bad-password', 'a password is one line of text, and not empty', {
      next: 'give the password and nothing else',
    })
  }
  return line
}

/** Asks on the terminal, without echo. Ctrl-C and Ctrl-D end the command. */
async function ask({ stdin, stderr }: Surroundings, prompts: readonly string[]): Promise<string[]> {
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: silence, terminal: true, historySize: 0 })
  lines.on('SIGINT', () => lines.close())
  // The iterator keeps lines that were typed, or pasted, ahead of their prompt.
  const given = lines[Symbol.asyncIterator]()
  try {
    const answers: string[] = []
    for (const prompt of prompts) {
      stderr.write(prompt)
      const { value, done } = await given.next()
      stderr.write('\n')
      if (done === true) throw new CliError('interrupted', 'no password was given')
      answers.push(value)
    }
    return answers
  } finally {
    lines.close()
  }
}
