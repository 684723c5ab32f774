import type { Event } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { followEvents } from '../follow-events.ts'
import type { Paint } from '../paint.ts'
import { printable } from '../printable.ts'
import { formatTime } from '../quantity.ts'

interface ListOptions {
  readonly follow?: boolean
  readonly type?: string
  readonly vm?: string
  readonly host?: string
  readonly limit?: number
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
    .option('--limit <n>', 'at most so many of those that were (100, when it is left out)', wholeNumber(1, 1000))
    .examples('event list --vm db1', 'event list --follow --json | jq .type')
    .action(async ({ follow, ...query }: ListOptions) => {
      if (follow !== true) {
        const words = (events: readonly Event[]) =>
          events
            .toReversed()
            .map((each) => eventLine(each, cli.paint))
            .join('')
        return cli.showAnswer(async (client) => (await client.events(query)).events, words)
      }
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
}

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
