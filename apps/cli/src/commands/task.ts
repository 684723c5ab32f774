import type { Task } from '@cryptvisor/control-plane-api'
import { rateOrNone, wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { keyName } from '../key-name.ts'
import type { Paint } from '../paint.ts'
import { formatDuration, formatSize, formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

interface ListOptions {
  readonly vm?: string
  readonly state?: string
  readonly limit?: number
}

/** `task`: what the control plane works on. */
export function addTask(program: CliCommand, cli: Cli): void {
  const task = program.command('task').description('tasks: what the control plane works on, and what it has done')
  task
    .command('list')
    .description('list the tasks, the newest first')
    .option('--vm <name>', 'those of this VM only')
    .option('--state <state>', 'queued, running, success, error or cancelled')
    .option('--limit <n>', 'at most so many (100, when it is left out)', wholeNumber(1, 1000))
    .examples('task list --state running')
    .action((options: ListOptions) =>
      cli.showAnswer(
        async (client) => (await client.tasks(options)).tasks,
        (tasks) => taskTable(tasks, cli.paint),
      ),
    )
  task
    .command('show')
    .description('show one task')
    .argument('<id>', 'its ID')
    .action((id: string) =>
      cli.showAnswer(
        (client) => client.task(id),
        (each) => taskSheet(each, cli.paint),
      ),
    )
  task
    .command('watch')
    .description('wait until a task has ended, with its progress; fails when the task did')
    .argument('<id>', 'its ID')
    .action(async (id: string) => {
      const ended = await cli.withClient(async (client) => {
        const started = await client.task(id)
        return cli.surroundings.interrupt.during((signal) => cli.waitFor(client, started, signal))
      })
      cli.show(ended, (each) => taskSheet(each, cli.paint))
    })
  task
    .command('cancel')
    .description('ask a task to stop; what it works on is then as it was before')
    .argument('<id>', 'its ID')
    .action((id: string) =>
      cli.showAnswer(
        (client) => client.cancelTask(id),
        (each) => taskSheet(each, cli.paint),
      ),
    )
  for (const [verb, description] of [
    ['pause', 'have a task move no data until it is resumed (it goes on by itself when its host starts anew)'],
    ['resume', 'let a paused task go on'],
  ] as const) {
    task
      .command(verb)
      .description(description)
      .argument('<id>', 'its ID')
      .action((id: string) =>
        cli.showAnswer(
          (client) => (verb === 'pause' ? client.pauseTask(id) : client.resumeTask(id)),
          (each) => taskSheet(each, cli.paint),
        ),
      )
  }
  task
    .command('limit')
    .description('limit how fast a task moves data (until its host starts anew)')
    .argument('<id>', 'its ID')
    .argument('<rate>', 'a second, such as 200MiB/s; none: as fast as the host can', rateOrNone)
    .examples('task limit 0198c5a2-… 50MiB/s', 'task limit 0198c5a2-… none')
    .action((id: string, bytesPerSecondMax: number | null) =>
      cli.showAnswer(
        (client) => client.limitTask(id, { bytesPerSecondMax }),
        (each) => taskSheet(each, cli.paint),
      ),
    )
}

function taskTable(tasks: readonly Task[], paint: Paint): string {
  return table(
    ['ID', 'TYPE', 'TARGET', 'STATE', 'PROGRESS', 'USER', 'STARTED', 'STEP'],
    tasks.map((task) => [
      task.id,
      task.type,
      task.target.name,
      stateOf(task, paint),
      `${Math.floor(task.progressPercent)}%`,
      task.user,
      task.startedAt === null ? null : formatTime(task.startedAt),
      task.error === null ? task.step : task.error.code,
    ]),
  )
}

function taskSheet(task: Task, paint: Paint): string {
  return sheet([
    ['ID', task.id],
    ['type', task.type],
    ['target', `${task.target.kind} ${task.target.name}`],
    ['state', stateOf(task, paint)],
    ['step', task.step],
    ['progress', progressOf(task)],
    ['key', keyName(task.key)],
    ['error', task.error === null ? null : `${task.error.message} (${task.error.code})`],
    ['user', task.user],
    ['created', formatTime(task.createdAt)],
    ['started', task.startedAt === null ? null : formatTime(task.startedAt)],
    ['ended', task.endedAt === null ? null : formatTime(task.endedAt)],
  ])
}

function stateOf({ state, cancelRequested, paused }: Task, paint: Paint) {
  switch (state) {
    case 'success':
      return paint('green', state)
    case 'error':
      return paint('red', state)
    case 'cancelled':
      return paint('yellow', state)
    case 'queued':
    case 'running':
      if (cancelRequested) return `${state}, cancelling`
      return paused ? paint('yellow', `${state}, paused`) : state
  }
}

function progressOf({ progressPercent, doneBytes, totalBytes, rateBytesPerSecond, secondsLeft }: Task): string {
  return [
    `${Math.floor(progressPercent)}%`,
    ...(totalBytes > 0 ? [`${formatSize(doneBytes)} of ${formatSize(totalBytes)}`] : []),
    ...(rateBytesPerSecond === null ? [] : [`${formatSize(rateBytesPerSecond)}/s`]),
    ...(secondsLeft === null ? [] : [`${formatDuration(secondsLeft)} left`]),
  ].join(', ')
}
