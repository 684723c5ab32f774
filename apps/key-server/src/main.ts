import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { guardMemory, thisStart, unsafeStart } from '@cryptvisor/process-guard'
import { init } from './command/init.ts'
import { issueClient } from './command/issue-client.ts'
import { serve } from './command/serve.ts'
import { KeyServerError } from './key-server-error.ts'
import { createLog } from './log.ts'

const usage = `usage: key-server init --dir DIR [--root-key-file FILE] [--host-name NAME ...] [--listen ADDRESS]
                       [--kmip-port N] [--admin-port N]
       key-server issue-client --dir DIR NAME --out FOLDER [--csr FILE]
       key-server serve --dir DIR | --config FILE

init makes a key server in DIR; its root key lies in FILE, outside of DIR (DIR.root-key unless said otherwise).
Ports that are not given are chosen at the first start and kept in DIR/config.json.
issue-client writes client.pem, client.key and ca.pem to FOLDER; with --csr the client keeps its own key.
serve prints one line of JSON when it listens, and runs until SIGTERM.
`

/** How long a stop may take before the process ends anyway; what was answered is on the disk by then. */
const stopWithinMs = 10_000

const now = () => new Date()

async function main([command, ...args]: readonly string[]): Promise<void> {
  switch (command ?? '') {
    case 'init':
      return await runInit(args)
    case 'issue-client':
      return await runIssueClient(args)
    case 'serve':
      return await runServe(args)
    default:
      throw new KeyServerError('bad-usage', `expected the command init, issue-client or serve\n${usage}`)
  }
}

async function runInit(args: readonly string[]): Promise<void> {
  const { values } = parse(args, false)
  await init(
    {
      folder: required(values.dir, '--dir'),
      rootKeyFile: values['root-key-file'],
      hostNames: values['host-name'] ?? ['127.0.0.1', 'localhost'],
      listen: values.listen,
      kmipPort: portOf(values['kmip-port'], '--kmip-port'),
      adminPort: portOf(values['admin-port'], '--admin-port'),
    },
    now,
  )
}

async function runIssueClient(args: readonly string[]): Promise<void> {
  const { values, positionals } = parse(args, true)
  const [name, ...rest] = positionals
  if (rest.length > 0) throw new KeyServerError('bad-usage', `issue-client: one NAME is expected\n${usage}`)
  const options = {
    folder: required(values.dir, '--dir'),
    name: required(name, 'NAME'),
    out: required(values.out, '--out'),
    csr: values.csr,
  }
  await issueClient(options, now)
}

async function runServe(args: readonly string[]): Promise<void> {
  const { values } = parse(args, false)
  const configPath = values.config
  const folder = values.dir ?? (configPath === undefined ? undefined : dirname(configPath))
  const reason = unsafeStart(thisStart())
  if (reason !== null) {
    throw new KeyServerError('unsafe-process', `the key server holds keys, and does not start so: ${reason}`)
  }
  const { coreDumpsOff } = await guardMemory()
  const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const options = { folder: required(folder, '--dir'), configPath, version: version(), now }
  const running = await serve(options, (level) => {
    const log = createLog(level)
    if (!coreDumpsOff) log.warn('core dumps are not off: prlimit (util-linux) is missing or was refused')
    return log
  })
  process.stdout.write(`${JSON.stringify({ ready: true, kmip: running.kmip, admin: running.admin })}\n`)
  await ended
  setTimeout(() => process.exit(1), stopWithinMs).unref()
  await running[Symbol.asyncDispose]()
}

function parse(args: readonly string[], allowPositionals: boolean) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals,
      options: {
        dir: { type: 'string' },
        'root-key-file': { type: 'string' },
        'host-name': { type: 'string', multiple: true },
        listen: { type: 'string' },
        'kmip-port': { type: 'string' },
        'admin-port': { type: 'string' },
        out: { type: 'string' },
        csr: { type: 'string' },
        config: { type: 'string' },
      },
    })
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : 'wrong options'
    throw new KeyServerError('bad-usage', `${what}\n${usage}`, { cause })
  }
}

function required(value: string | undefined, name: string): string {
  if (value !== undefined && value !== '') return value
  throw new KeyServerError('bad-usage', `${name} is needed\n${usage}`)
}

function portOf(text: string | undefined, name: string): number {
  if (text === undefined) return 0
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port >= 0 && port <= 65535) return port
  throw new KeyServerError('bad-usage', `${name}: a port from 0 to 65535 is expected`)
}

/** The version of this program, from its package. */
function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version)
  throw new Error('package.json has no version')
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  // The text of an error of ours says what to do next; of any other the operator needs all.
  const isOurs = error instanceof Error && 'code' in error && !('errno' in error)
  process.stderr.write(`key-server: ${isOurs ? error.message : String(error instanceof Error ? error.stack : error)}\n`)
  process.exitCode = error instanceof KeyServerError && error.code === 'bad-usage' ? 2 : 1
}
