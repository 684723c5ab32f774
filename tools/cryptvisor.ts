/** `./run cryptvisor --dir DIR ARGUMENTS`: the command line, against the lab in DIR, logged in by itself. */
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { Lab, type LabDescription } from '@cryptvisor/lab'
import { CliError } from '../apps/cli/src/cli-error.ts'
import { type ExitCode, exitCodes } from '../apps/cli/src/exit-codes.ts'
import { processSurroundings } from '../apps/cli/src/process-surroundings.ts'
import { report } from '../apps/cli/src/report.ts'
import { run } from '../apps/cli/src/run.ts'
import type { Surroundings } from '../apps/cli/src/surroundings.ts'

/** What needs no session, or makes its own. */
const sessionless = new Set(['login', 'logout', 'help'])
const sessionlessOptions = new Set(['--help', '-h', '--version', '-V', '--token-file'])

async function main(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  // What there is can be asked without a lab.
  if (argv[0] !== '--dir' && argv.some((each) => each === '--help' || each === '-h')) return run(argv, surroundings)
  const { folder, args } = splitArguments(argv)
  const lab = new Lab(folder)
  const description = lab.describe()
  if (description === null) {
    throw new CliError('usage', `there is no lab in ${lab.places.folder}`, { next: `make one: ${howToStart(lab)}` })
  }
  const config = join(lab.places.folder, 'cli', 'config.json')
  const withConfig = ['--config', config, ...args]
  const [verb] = args
  if (verb !== undefined && !sessionless.has(verb) && !args.some((each) => sessionlessOptions.has(each))) {
    await ensureSession(lab, description, config, surroundings)
  }
  return run(withConfig, surroundings)
}

function splitArguments([option, folder, ...args]: readonly string[]): { folder: string; args: readonly string[] } {
  if (option === '--dir' && folder !== undefined) return { folder, args }
  throw new CliError('usage', '--dir: is missing; it comes first', {
    field: '--dir',
    next: 'usage: ./run cryptvisor --dir DIR ARGUMENTS, for instance: ./run cryptvisor --dir DIR vm list',
  })
}

/** Logs in with the lab's password, which travels by (in-process) standard input, unless a session works. */
async function ensureSession(
  lab: Lab,
  { controlPlane }: LabDescription,
  config: string,
  surroundings: Surroundings,
): Promise<void> {
  const place = ['--config', config, '--url', controlPlane.url, '--ca', controlPlane.ca]
  const tried = await runQuietly(['whoami', ...place], '', surroundings)
  if (tried.exitCode === exitCodes.ok) return
  const result =
    tried.exitCode === exitCodes.notLoggedIn
      ? await runQuietly(
          ['login', ...place, '--user', controlPlane.user, '--password-stdin'],
          `${controlPlane.password}\n`,
          surroundings,
        )
      : tried
  if (result.exitCode === exitCodes.ok) return
  const isDown = result.exitCode === exitCodes.unreachable
  const what = isDown ? 'does not answer' : 'does not let us in'
  throw new CliError('unreachable', `the lab in ${lab.places.folder} ${what}: ${result.message}`, {
    next: `${isDown ? 'start it' : 'see that all of it runs'}: ${howToStart(lab)}`,
    exitCode: result.exitCode,
  })
}

/** Runs a command without showing what it prints; gives its exit code and its error text. */
async function runQuietly(
  args: readonly string[],
  input: string,
  { pollPace, now, homeFolder, interrupt }: Surroundings,
): Promise<{ exitCode: ExitCode; message: string }> {
  let errors = ''
  const stderr = new Writable({
    write: (chunk, _encoding, done) => {
      errors += String(chunk)
      done()
    },
  })
  const stdout = new Writable({ write: (_chunk, _encoding, done) => done() })
  const stdin = Readable.from([Buffer.from(input)])
  // Without the environment: a token file that is meant for the command itself must not stand in for the session.
  const quiet = { stdin, stdout, stderr, environment: {}, homeFolder, interrupt, now, pollPace }
  const exitCode = await run(args, quiet)
  return { exitCode, message: (errors.split('\n')[0] ?? '').replace(/^cryptvisor: /, '') }
}

function howToStart(lab: Lab): string {
  return `./run lab up --dir ${lab.places.folder}`
}

const surroundings = processSurroundings()
const argv = process.argv.slice(2)
process.chdir(process.env['INIT_CWD'] ?? '.')
try {
  process.exitCode = await main(argv, surroundings)
} catch (error) {
  process.exitCode = report(error, { json: argv.includes('--json'), verbose: argv.includes('--verbose') }, surroundings)
}
