import { type Event, eventTypes } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { followEvents } from '../follow-events.ts'
import { moment } from '../moment.ts'
import type { Paint } from '../paint.ts'
import { line, printable } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

interface ListOptions {
  readonly follow?: boolean
  readonly type?: string
  readonly vm?: string
  readonly host?: string
  readonly limit?: number
  readonly severity?: Event['severity']
  readonly user?: string
  readonly since?: string
  readonly until?: string
  readonly before?: number
}

/** `event`: what happened. */
export function addEvent(program: CliCommand, cli: Cli): void {
  const event = program.command('event').description('events: what happened, every crypto operation among it')
  event
    .command('list')
    .description('list events, for people the newest last; with --follow and --json one JSON object a line')
    .option('--follow', 'go on with what happens, until Ctrl-C')
    .option('--type <type>', 'those of this type only, such as kms.crypto.key-missing')
    .option('--vm <name>', 'those about this VM only')
    .option('--host <name>', 'those about this host only')
    .addOption(new Option('--severity <severity>', 'of this severity and above').choices(['info', 'warning', 'error']))
    .option('--user <name>', 'those that this user caused only')
    .option(
      '--since <time>',
      'not before: 2026-11-24T12:00:00Z, 2026-11-24, or 12h or 7d for so long ago',
      moment(Date.now),
    )
    .option('--until <time>', 'before this', moment(Date.now))
    .option('--before <id>', 'only events before this one: the page that follows', wholeNumber(1, 10 ** 12))
    .option('--limit <n>', 'at most so many of those that were (100, when it is left out)', wholeNumber(1, 1000))
    .examples('event list --vm db1', 'event list --severity error --since 24h', 'event list --follow --json | jq .type')
    .action(async ({ follow, ...query }: ListOptions) => {
      if (follow !== true) {
        const words = (events: readonly Event[]) =>
          events
            .toReversed()
            .map((each) => eventLine(each, cli.paint))
            .join('')
        return cli.showAnswer(async (client) => (await client.events(query)).events, words)
      }
      const past = (['since', 'until', 'before'] as const).find((name) => query[name] !== undefined)
      if (past !== undefined) throw new CliError('usage', `--${past}: is about what was, and --follow about what comes`)
      const { surroundings, options } = cli
      await cli.withClient((client) =>
        surroundings.interrupt.during(async (signal) => {
          for await (const each of followEvents(client, query, {
            signal,
            pauseMs: surroundings.pollPace.lastMs,
            say: (text) => cli.hint(text),
          })) {
            surroundings.stdout.write(options.json === true ? `${JSON.stringify(each)}\n` : eventLine(each, cli.paint))
          }
          throw new CliError('interrupted', 'interrupted')
        }),
      )
    })
  addTypes(event, cli)
  addPrune(event, cli)
}

function addTypes(event: CliCommand, cli: Cli): void {
  event
    .command('types')
    .description('list every event type with its severity and vSphere’s identifier of the same event')
    .action(() =>
      cli.show(
        Object.entries(eventTypes).map(([type, [severity, text, vsphereId]]) => ({ type, severity, text, vsphereId })),
        (types) =>
          table(
            ['TYPE', 'SEVERITY', 'WHAT', 'VSPHERE'],
            types.map(({ type, severity, text, vsphereId }) => [type, severity, text, vsphereId]),
          ),
      ),
    )
}

function addPrune(event: CliCommand, cli: Cli): void {
  event
    .command('prune')
    .description('remove old events; open alarms and the audit keep what they need, and what is still to be sent stays')
    .requiredOption('--before <time>', '2026-11-24T12:00:00Z, 2026-11-24, or 90d for so long ago', moment(Date.now))
    .examples('event prune --before 90d')
    .action(({ before }: { readonly before: string }) =>
      cli.showAnswer(
        (client) => client.pruneEvents(before),
        ({ removed, kept }) => line(`removed ${removed} events, ${kept} are left`),
      ),
    )
  event
    .command('retention')
    .description('show for how many days events and cleared alarms are kept, or say so')
    .option('--days <n>', 'of events; «forever»: all are kept', days)
    .option('--alarm-days <n>', 'of cleared alarms; «forever»: all are kept', days)
    .examples('event retention', 'event retention --days 365 --alarm-days 90')
    .action((options: { readonly days?: Days; readonly alarmDays?: Days }) =>
      cli.showAnswer(
        async (client) => {
          const now = await client.retention()
          if (options.days === undefined && options.alarmDays === undefined) return now
          const or = (value: Days | undefined, before: number | null) =>
            value === undefined ? before : value === 'forever' ? null : value
          return client.setRetention({
            eventDays: or(options.days, now.eventDays),
            alarmDays: or(options.alarmDays, now.alarmDays),
          })
        },
        ({ eventDays, alarmDays }) =>
          sheet([
            ['events', keptFor(eventDays)],
            ['cleared alarms', keptFor(alarmDays)],
          ]),
      ),
    )
}

type Days = number | 'forever'

const wholeDays = wholeNumber(1, 36_500)
/** A parser that gives null would give an empty text instead: so it says «none» its own way. */
const days = (text: string): Days => (text === 'forever' ? text : wholeDays(text))
const keptFor = (count: number | null) => (count === null ? 'kept for ever' : `kept for ${count} days`)

function eventLine(event: Event, paint: Paint): string {
  const colour = ({ info: 'green', warning: 'yellow', error: 'red' } as const)[event.severity]
  const about = [
    ['host', event.host],
    ['vm', event.vm],
    ['provider', event.provider],
    ['key', event.keyId],
    ['user', event.user],
    ['task', event.task],
  ]
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
  const severity = paint(colour, event.severity.padEnd(7)).painted
  const tail = about.length === 0 ? '' : ` (${about.join(' ')})`
  return `${formatTime(event.time)}  ${severity}  ${printable(`${event.type}: ${event.text}${tail}`)}\n`
}
