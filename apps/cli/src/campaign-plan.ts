import { type CampaignPlan, weekdays } from '@cryptvisor/control-plane-api'
import { rate, texts, wholeNumber } from './arguments.ts'
import { CliError } from './cli-error.ts'
import type { CliCommand } from './command.ts'

/** What `campaign add` and `campaign preview` are told. */
export interface PlanOptions {
  readonly vm?: string[]
  readonly policy?: string
  readonly fromProvider?: string
  readonly cluster?: string
  readonly olderThan?: number
  readonly rotationDue?: boolean
  readonly exposed?: boolean
  readonly deep?: boolean
  readonly keyProvider?: string
  readonly atOnce?: number
  readonly perHost?: number
  readonly limit?: number
  readonly at?: string
  readonly cron?: string
  readonly timeZone?: string
  readonly window?: string
  readonly stopAfter?: number
  readonly tries?: number
}

/** The options that say what is rekeyed, how and when. */
export function planOptions(command: CliCommand): CliCommand {
  return command
    .option('--vm <name>', 'this VM; may be given again (all encrypted VMs, when nothing is chosen)', texts)
    .option('--policy <name>', 'VMs of which VM Home or a disk has this policy')
    .option('--from-provider <name>', 'VMs that use keys of this key provider')
    .option('--cluster <name>', 'VMs of this cluster')
    .option('--older-than <days>', 'VMs with a key at least so old', wholeNumber(0, 36_500))
    .option('--rotation-due', 'VMs with a key older than the rotation age of its policy')
    .option('--exposed', 'VMs with a key that a host which left may still hold')
    .option(
      '--deep',
      'new data keys too: all data is encrypted anew (shallow, when it is left out: moments for each VM)',
    )
    .option('--key-provider <name>', 'who makes the new keys (each VM’s present one, when it is left out)')
    .option('--at-once <n>', 'at most so many VMs at once (8)', wholeNumber(1, 256))
    .option('--per-host <n>', 'at most so many at once on one host (2)', wholeNumber(1, 64))
    .option('--limit <rate>', 'with --deep: how fast each VM’s data is moved at most, such as 200MiB/s', rate)
    .option('--at <time>', 'when to begin, such as 2026-12-01T22:00:00+01:00')
    .option('--cron <fields>', 'begin a run again and again: minute, hour, day, month, weekday')
    .option('--time-zone <name>', 'of --cron and --window, such as Europe/Berlin (UTC)')
    .option('--window <days and times>', 'begin and move data only then, such as "mon-fri 22:00-05:00"')
    .option('--stop-after <n>', 'stop the run when more than so many VMs failed', wholeNumber(0, 100_000))
    .option('--tries <n>', 'how often one VM is tried (3)', wholeNumber(1, 10))
}

/** The plan that the options say. Throws `CliError` for a window that cannot be read. */
export function planOf(options: PlanOptions): CampaignPlan {
  const selection = defined({
    vms: options.vm,
    policy: options.policy,
    keyProvider: options.fromProvider,
    cluster: options.cluster,
    olderThanDays: options.olderThan,
    rotationDue: options.rotationDue,
    exposed: options.exposed,
  })
  return {
    selection,
    depth: options.deep === true ? 'deep' : 'shallow',
    ...defined({
      keyProvider: options.keyProvider,
      atOnceMax: options.atOnce,
      perHostMax: options.perHost,
      bytesPerSecondMax: options.limit,
      startAt: options.at,
      cron: options.cron,
      timeZone: options.timeZone,
      window: options.window === undefined ? undefined : windowOf(options.window),
      failuresMax: options.stopAfter,
      triesMax: options.tries,
    }),
  }
}

/** Without what was not given. */
function defined<Given extends object>(given: Given): { [Name in keyof Given]?: NonNullable<Given[Name]> } {
  // What is left is there.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Given]?: NonNullable<Given[Name]>
  }
}

function windowOf(text: string): NonNullable<CampaignPlan['window']> {
  const match = /^([a-z,-]+) +(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text.trim().toLowerCase())
  const [, days = '', from = '', until = ''] = match ?? []
  const named = days.split(',').flatMap((part) => {
    const [first = '', last = first] = part.split('-')
    const names: readonly string[] = weekdays
    const begin = names.indexOf(first)
    const end = names.indexOf(last)
    if (begin < 0 || end < 0) return [null]
    const count = ((end - begin + 7) % 7) + 1
    return Array.from({ length: count }, (_, index) => weekdays[(begin + index) % 7] ?? null)
  })
  const known = named.filter((day) => day !== null)
  if (match !== null && known.length === named.length) return { days: known, from, until }
  throw new CliError('usage', '--window: expected days and times', {
    field: '--window',
    next: 'give it as "mon-fri 22:00-05:00" or "sat,sun 00:00-23:59"',
  })
}
