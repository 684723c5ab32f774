import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The main file of one of the programs. */
export const programPath = (name: 'key-server' | 'control-plane' | 'host-agent' | 'cli') =>
  `${root}apps/${name}/src/main.ts`

/** What our programs need of the environment, and nothing else. */
export function environment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE']
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

/** A program that ended with an exit code other than 0. */
export class ProgramError extends Error {
  readonly exitCode: number | null

  constructor(message: string, exitCode: number | null) {
    super(message)
    this.name = 'ProgramError'
    this.exitCode = exitCode
  }
}

/**
 * Runs one of our programs to its end, gives it `input` on its standard input, and returns its standard output.
 * Throws `ProgramError` with what it said on standard error.
 */
export async function runProgram(
  name: Parameters<typeof programPath>[0],
  args: readonly string[],
  input = '',
): Promise<string> {
  const child = spawn(process.execPath, [programPath(name), ...args], {
    env: environment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [exitCode] = (await once(child, 'close')) as [number | null]
  if (exitCode !== 0) throw new ProgramError(`${name} ${args[0]} failed: ${complaint.trim()}`, exitCode)
  return output
}
