/** `./run lab up|down|start|stop|status`: a lab of all services on this machine. */
import { parseArgs } from 'node:util'
import { isServiceName, Lab, type ServiceName, serviceNames } from '@cryptvisor/lab'

const usage = `usage: ./run lab up --dir DIR [--json]       starts what is not running, sets up what is not set up
       ./run lab down --dir DIR             stops everything, VMs that run too; the data stays
       ./run lab stop NAME --dir DIR        one of ${serviceNames.join(', ')}
       ./run lab start NAME --dir DIR
       ./run lab status --dir DIR [--json]
`

class UsageError extends Error {}

function parse() {
  try {
    return parseArgs({
      args: process.argv.slice(2),
      options: { dir: { type: 'string' }, json: { type: 'boolean', default: false } },
      allowPositionals: true,
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function serviceOf(name: string | undefined): ServiceName {
  if (name !== undefined && isServiceName(name)) return name
  throw new UsageError(`NAME: expected one of ${serviceNames.join(', ')}`)
}

async function main(): Promise<void> {
  process.chdir(process.env['INIT_CWD'] ?? '.')
  const { values, positionals } = parse()
  const [verb, name, ...rest] = positionals
  if (values.dir === undefined) throw new UsageError('--dir: is missing; say where the lab keeps its data')
  if (rest.length > 0) throw new UsageError(`${rest[0]}: there is no such argument`)
  const lab = new Lab(values.dir, (text) => process.stderr.write(`${text}\n`))
  const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
  switch (verb ?? '') {
    case 'up': {
      const description = await lab.up()
      if (values.json) print(description)
      else process.stdout.write(`the lab is up; its secrets are in ${lab.places.description}\n`)
      return
    }
    case 'status': {
      const pids = Object.fromEntries(serviceNames.map((service) => [service, lab.service(service).pid]))
      if (values.json) print(pids)
      else
        for (const [service, pid] of Object.entries(pids)) process.stdout.write(`${service}: ${pid ?? 'not running'}\n`)
      return
    }
    case 'down':
      return lab.down()
    case 'stop':
      return lab.stop(serviceOf(name))
    case 'start':
      return lab.start(serviceOf(name))
    default:
      throw new UsageError(`${verb ?? 'VERB'}: expected up, down, start, stop or status`)
  }
}

try {
  await main()
} catch (error) {
  const usageError = error instanceof UsageError
  process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n${usageError ? usage : ''}`)
  process.exitCode = usageError ? 2 : 1
}
