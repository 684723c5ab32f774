import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { kekSizeBytes } from '@cryptvisor/host-agent-api'
import { readSecret } from '@cryptvisor/rest'
import { LogRing } from '@cryptvisor/support-bundle'
import { destination, type Logger, multistream, pino } from 'pino'
import { AgentError } from './agent-error.ts'
import type { EnrolOptions } from './enrol.ts'
import type { HardwareUuidSource } from './hardware-uuid.ts'
import { keepHeapSmall } from './process/heap.ts'
import { guardKeyMemory } from './process/key-memory.ts'

const usage = `Usage:
  host-agent enroll --dir D --url-host HOST [--port N] [--hardware-uuid auto|dmi|new] [--again]
      makes this machine a host; the one-time token comes on standard input; --again: one that was enrolled under the
      same name before, whose certificate is over: it keeps its port, settings, ID and VMs
  host-agent serve --dir D
      runs the agent until SIGTERM
  host-agent set-control-plane --dir D [--url URL] [--accept-older]
      says where the control plane is after it moved (its listener for hosts), for the next start; --accept-older: the
      host works again for a control plane that was replaced by a restore, if that is the right one after all
  host-agent core-pattern --dir D
      prints the settings with which the kernel hands core dumps to this host's helper; changes nothing
  host-agent core-dump --dir D --pid N --command C
      seals the core dump on standard input to the host key; the kernel starts it
  host-agent decrypt-core --file F > DUMP
      opens a sealed core dump; the 32 bytes of the host key that it names come on standard input
  host-agent decrypt-bundle --file F > BUNDLE.tar.gz
      opens a support bundle that was sealed to a host key, in the same way
`

/** The largest token, with room to spare. */
const tokenSizeMax = 8192

async function main(args: readonly string[]): Promise<void> {
  keepHeapSmall()
  await guardKeyMemory()
  const [command, ...rest] = args
  if (command === 'enroll') return await runEnrol(rest)
  if (command === 'serve') return await runServe(rest)
  if (command === 'set-control-plane') return await runSetControlPlane(rest)
  if (command === 'core-pattern') return await runCorePattern(rest)
  if (command === 'core-dump') return await runCoreDump(rest)
  if (command === 'decrypt-core') return await runDecryptCore(rest)
  if (command === 'decrypt-bundle') return await runDecryptBundle(rest)
  throw new AgentError(
    'bad-usage',
    `expected the command «enroll», «serve», «set-control-plane» or one of core dumps\n${usage}`,
  )
}

async function runEnrol(args: readonly string[]): Promise<void> {
  const again = args.includes('--again')
  const options = parse(
    args.filter((arg) => arg !== '--again'),
    {
      dir: { type: 'string' },
      'url-host': { type: 'string' },
      port: { type: 'string' },
      'hardware-uuid': { type: 'string', default: 'auto' },
    },
  )
  const chosen: EnrolOptions = {
    folder: required(options['dir'], '--dir'),
    urlHost: required(options['url-host'], '--url-host'),
    port: options['port'] === undefined ? null : portOf(options['port']),
    hardwareUuid: hardwareUuidOf(options['hardware-uuid']),
    again,
  }
  const { enrol } = await import('./enrol.ts')
  const config = await enrol(await readToken(), chosen)
  say({ enrolled: true, name: config.name, hostId: config.hostId, url: config.url })
}

async function runSetControlPlane(args: readonly string[]): Promise<void> {
  const acceptOlder = args.includes('--accept-older')
  const chosen = parse(
    args.filter((arg) => arg !== '--accept-older'),
    { dir: { type: 'string' }, url: { type: 'string' } },
  )
  if (chosen['url'] === undefined && !acceptOlder) {
    throw new AgentError('bad-usage', `--url or --accept-older: one of them is needed\n${usage}`)
  }
  const { setControlPlane } = await import('./set-control-plane.ts')
  const folder = required(chosen['dir'], '--dir')
  const { name, controlPlaneUrl } = await setControlPlane({ folder, url: chosen['url'] ?? null, acceptOlder })
  say({ name, controlPlaneUrl, restart: true })
}

async function runCorePattern(args: readonly string[]): Promise<void> {
  const folder = required(parse(args, { dir: { type: 'string' } })['dir'], '--dir')
  const { corePatternSettings } = await import('./dumps/core-pattern.ts')
  process.stdout.write(corePatternSettings(folder))
}

async function runCoreDump(args: readonly string[]): Promise<void> {
  const options = parse(args, { dir: { type: 'string' }, pid: { type: 'string' }, command: { type: 'string' } })
  const folder = required(options['dir'], '--dir')
  const pid = Number(options['pid'] ?? '0')
  if (!Number.isSafeInteger(pid) || pid < 0) throw new AgentError('bad-usage', `--pid: expected a number\n${usage}`)
  const { writeDump } = await import('./dumps/write-dump.ts')
  const name = await writeDump(process.stdin, { folder, pid, command: options['command'] ?? '', now: new Date() })
  say({ dump: name })
}

async function runDecryptCore(args: readonly string[]): Promise<void> {
  const path = required(parse(args, { file: { type: 'string' } })['file'], '--file')
  const { OpenedDump } = await import('./dumps/read-dump.ts')
  await using dump = await OpenedDump.open(path)
  using hostKey = await readSecret(process.stdin, kekSizeBytes)
  await pipeline(dump.plain(hostKey), process.stdout)
}

async function runDecryptBundle(args: readonly string[]): Promise<void> {
  const path = required(parse(args, { file: { type: 'string' } })['file'], '--file')
  const { openBundleFile } = await import('./support/open-bundle-file.ts')
  await pipeline(
    openBundleFile(path, () => readSecret(process.stdin, kekSizeBytes)),
    process.stdout,
  )
}

async function runServe(args: readonly string[]): Promise<void> {
  const folder = required(parse(args, { dir: { type: 'string' } })['dir'], '--dir')
  const ring = new LogRing()
  const log = makeLog(ring)
  const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  // Loaded here, after the heap was told to stay small: what is loaded before has grown it already.
  const { startAgent } = await import('./agent.ts')
  await using agent = await startAgent(folder, log, ring)
  say({ ready: true, url: agent.config.url, name: agent.config.name })
  log.info({ url: agent.config.url }, 'agent is ready')
  await ended
  log.info('agent stops')
}

/** Lines of JSON on standard error, and into `ring`; standard output is for whoever started us. */
function makeLog(ring?: LogRing): Logger {
  const standardError = destination({ fd: 2, sync: true })
  const options = { base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (ring === undefined) return pino(options, standardError)
  return pino(options, multistream([{ stream: standardError }, { stream: ring }]))
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

type OptionTypes = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>

function parse(args: readonly string[], options: OptionTypes): Record<string, string | undefined> {
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false })
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, typeof value === 'string' ? value : undefined]),
    )
  } catch (cause) {
    throw new AgentError('bad-usage', `${cause instanceof Error ? cause.message : 'wrong options'}\n${usage}`, {
      cause,
    })
  }
}

function required(value: string | undefined, name: string): string {
  if (value === undefined || value === '') throw new AgentError('bad-usage', `${name} is missing\n${usage}`)
  return value
}

function portOf(value: string): number {
  const port = Number(value)
  if (/^\d{1,5}$/.test(value) && port >= 1 && port <= 65_535) return port
  throw new AgentError('bad-usage', '--port: expected a number from 1 to 65535')
}

function hardwareUuidOf(value: string | undefined): HardwareUuidSource {
  if (value === 'auto' || value === 'dmi' || value === 'new') return value
  throw new AgentError('bad-usage', '--hardware-uuid: expected auto, dmi or new')
}

async function readToken(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('The one-time token, then Ctrl-D:\n')
  const token = await text(process.stdin)
  if (token.length <= tokenSizeMax) return token
  throw new AgentError('bad-usage', `standard input: has more than ${tokenSizeMax} bytes, so it is no token`)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof AgentError && error.code !== 'internal') process.stderr.write(`host-agent: ${error.message}\n`)
  else makeLog().fatal({ err: error }, 'the agent failed by its own fault')
  process.exitCode = error instanceof AgentError && error.code === 'bad-usage' ? 2 : 1
}
