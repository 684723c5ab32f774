import type { Alarm, AlarmDefinition, AlarmQuery } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import type { Paint } from '../paint.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

/** `alarm`: what is not as it should be just now. */
export function addAlarm(program: CliCommand, cli: Cli): void {
  const alarm = program.command('alarm').description('alarms: what is not as it should be, until its cause is gone')
  alarm
    .command('list')
    .description('list alarms, red ones first; those that are over only with --all')
    .addOption(new Option('--state <state>', 'in this state only').choices(['raised', 'acknowledged', 'cleared']))
    .addOption(new Option('--severity <severity>', 'of this severity only').choices(['yellow', 'red']))
    .option('--object <name>', 'about this VM, host, key provider or key (provider/key ID) only')
    .option('--all', 'those that are over, too: the history')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1000))
    .examples('alarm list', 'alarm list --severity red --json', 'alarm list --all --object db1')
    .action((query: AlarmQuery) =>
      cli.showAnswer(
        async (client) => (await client.alarms(query)).alarms,
        (alarms) => (alarms.length === 0 ? line('no alarms') : alarmTable(alarms, cli.paint)),
      ),
    )
  alarm
    .command('show')
    .description('show an alarm: since when, how often, who takes care, and what to do')
    .argument('<id>', 'its ID')
    .action((id: string) => cli.showAnswer((client) => client.alarm(id), alarmSheet))
  alarm
    .command('acknowledge')
    .description('say that you take care of an alarm; it stays until its cause is gone (Alarm.Acknowledge)')
    .argument('<id>', 'its ID')
    .action((id: string) => cli.showAnswer((client) => client.acknowledgeAlarm(id), alarmSheet))
  alarm
    .command('clear')
    .description('clear an alarm by hand; where its cause goes on it is raised anew (Alarm.SetStatus)')
    .argument('<id>', 'its ID')
    .action((id: string) => cli.showAnswer((client) => client.clearAlarm(id), alarmSheet))
  addDefinitions(alarm, cli)
}

function addDefinitions(alarm: CliCommand, cli: Cli): void {
  alarm
    .command('definitions')
    .description('list what raises and clears alarms; by --json with the event types')
    .action(() => cli.showAnswer(async (client) => (await client.alarmDefinitions()).definitions, definitionTable))
  alarm
    .command('define')
    .description('switch a kind of alarm off or on, or set its threshold (Alarm.Edit, Alarm.DisableActions)')
    .argument('<name>', 'as «alarm definitions» lists it')
    .option('--on', 'switch it on')
    .option('--off', 'switch it off; alarms of this kind are cleared')
    .option('--threshold <n>', 'a number in the definition’s own unit, or «default»', threshold)
    .examples('alarm define backup.old --threshold 2', 'alarm define vm.policy-drift --off')
    .action(
      (
        name: string,
        options: { readonly on?: boolean; readonly off?: boolean; readonly threshold?: number | 'default' },
      ) => {
        const { on, off, threshold: limit } = options
        if (on === true && off === true) throw new CliError('usage', '--on and --off: give one of them')
        if (on === undefined && off === undefined && limit === undefined) {
          throw new CliError('usage', 'say what to change: --on, --off or --threshold')
        }
        const enabled = on === true ? { enabled: true } : off === true ? { enabled: false } : {}
        const body = { ...enabled, ...(limit === undefined ? {} : { threshold: limit === 'default' ? null : limit }) }
        return cli.showAnswer(
          (client) => client.changeAlarmDefinition(name, body),
          (definition) => definitionTable([definition]),
        )
      },
    )
}

const wholeThreshold = wholeNumber(1, 1_000_000)
/** A parser that gives null would give an empty text instead: so it says «none» its own way. */
const threshold = (text: string): number | 'default' => (text === 'default' ? text : wholeThreshold(text))

function alarmTable(alarms: readonly Alarm[], paint: Paint): string {
  return table(
    ['ID', 'SEVERITY', 'STATE', 'SINCE', 'COUNT', 'ALARM', 'OBJECT'],
    alarms.map(({ id, severity, state, raisedAt, count, definition, object }) => [
      id,
      paint(state === 'cleared' ? 'green' : severity, severity),
      state,
      formatTime(raisedAt),
      count,
      definition,
      object,
    ]),
  )
}

function alarmSheet(alarm: Alarm): string {
  const by = (time: string | null, who: string | null) => (time === null ? null : `${formatTime(time)} by ${who}`)
  return sheet([
    ['ID', alarm.id],
    ['alarm', alarm.definition],
    ['object', `${alarm.objectKind} ${alarm.object}`],
    ['severity', alarm.severity],
    ['state', alarm.state],
    ['what', alarm.text],
    ['do', alarm.advice],
    ['raised', formatTime(alarm.raisedAt)],
    ['last', `${formatTime(alarm.lastAt)}, ${alarm.count} times`],
    ['acknowledged', by(alarm.acknowledgedAt, alarm.acknowledgedBy)],
    ['cleared', by(alarm.clearedAt, alarm.clearedBy)],
  ])
}

function definitionTable(definitions: readonly AlarmDefinition[]): string {
  return table(
    ['ALARM', 'SEVERITY', 'ON', 'THRESHOLD', 'WHAT'],
    definitions.map(({ name, severity, enabled, threshold: limit, unit, title }) => [
      name,
      severity,
      enabled ? 'yes' : 'no',
      limit === null ? null : `${limit} ${unit}`,
      title,
    ]),
  )
}
