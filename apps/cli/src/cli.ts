import type { Task, TaskStarted } from '@cryptvisor/control-plane-api'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { type ClientOptions, RestClient } from '@cryptvisor/rest/client'
import { type ConnectionOptions, type Place, requireToken, resolveConnection } from './connection.ts'
import { keyName } from './key-name.ts'
import { KeyedClient } from './keyed-client.ts'
import { type Paint, paintFor } from './paint.ts'
import { line } from './printable.ts'
import { type ProgressDisplay, progressDisplay } from './progress.ts'
import { RehearsingClient } from './rehearsing-client.ts'
import type { Surroundings } from './surroundings.ts'
import { nameOf, requireSuccess, waitForTask } from './task-wait.ts'

/** The options that work with every command. */
export interface GlobalOptions extends ConnectionOptions {
  readonly json?: boolean
  readonly verbose?: boolean
  readonly dryRun?: boolean
  readonly idempotencyKey?: string
}

/** What every command works with: the control plane's client, and where its result goes. */
export class Cli {
  readonly surroundings: Surroundings
  readonly paint: Paint
  readonly #options: () => GlobalOptions

  /** `options` is asked when a command runs, since the program is built before its arguments are read. */
  constructor(surroundings: Surroundings, options: () => GlobalOptions) {
    this.surroundings = surroundings
    this.paint = paintFor(surroundings)
    this.#options = options
  }

  get options(): GlobalOptions {
    return this.#options()
  }

  /** Lends a client that is logged in to `use`. Throws `CliError` `not-logged-in` when there is no session. */
  async withClient<Result>(use: (client: ControlPlaneClient) => Promise<Result>): Promise<Result> {
    const connection = await resolveConnection(this.options, this.surroundings)
    return this.withClientOf(connection, requireToken(connection), use)
  }

  /** Lends a client for the place that is given; without a token only `login` works. */
  async withClientOf<Result>(
    { url, ca }: Place,
    bearerToken: string | null,
    use: (client: ControlPlaneClient) => Promise<Result>,
  ): Promise<Result> {
    await using rest = this.#restOf({ url, ca, ...(bearerToken === null ? {} : { bearerToken }) })
    return await use(new ControlPlaneClient(rest))
  }

  /** To log in is no change: nothing of it is rehearsed or told apart. */
  #restOf(options: ClientOptions): RestClient {
    const { dryRun, idempotencyKey } = this.options
    if (options.bearerToken === undefined) return new RestClient(options)
    if (dryRun === true) return new RehearsingClient(options)
    return idempotencyKey === undefined ? new RestClient(options) : new KeyedClient(options, idempotencyKey)
  }

  /** Prints the result: with `--json` the value as it is, else what `words` makes of it. */
  show<Value>(value: Value, words: (value: Value) => string): void {
    this.surroundings.stdout.write(this.options.json === true ? `${JSON.stringify(value, null, 2)}\n` : words(value))
  }

  /** Calls the control plane once and shows its answer. */
  async showAnswer<Value>(
    ask: (client: ControlPlaneClient) => Promise<Value>,
    words: (value: Value) => string,
  ): Promise<void> {
    this.show(await this.withClient(ask), words)
  }

  /** Removes something by one call and says so. */
  async remove(kind: string, name: string, call: (client: ControlPlaneClient) => Promise<void>): Promise<void> {
    await this.withClient(call)
    this.show({ removed: name }, () => line(`removed ${kind} ${name}`))
  }

  /** Says something beside the result, on standard error; with `--json` nothing. */
  hint(text: string): void {
    if (this.options.json !== true) this.surroundings.stderr.write(line(text))
  }

  progress(): ProgressDisplay {
    return progressDisplay(this.surroundings, this.options.verbose === true)
  }

  /** Waits until a task has ended. Throws `CliError` when it did not end well, or Ctrl-C came: then it goes on. */
  async waitFor(client: ControlPlaneClient, task: Task, signal: AbortSignal): Promise<Task> {
    using display = this.progress()
    return requireSuccess(await waitForTask(client, task, { signal, display, pace: this.surroundings.pollPace }))
  }

  /** Starts a task, waits for it unless `wait` is false, and shows it. */
  async runTask(start: (client: ControlPlaneClient) => Promise<TaskStarted>, wait: boolean): Promise<void> {
    const task = await this.withClient(async (client) => {
      const started = await start(client)
      if (!wait) return started.task
      return this.surroundings.interrupt.during((signal) => this.waitFor(client, started.task, signal))
    })
    this.showTask(task)
  }

  /** Shows a task that a command started. */
  showTask(task: Task): void {
    this.show(task, () => {
      if (task.state !== 'success') return line(`${nameOf(task)} has started: task ${task.id}`)
      const key = task.key === null ? '' : `; its key is ${keyName(task.key)}`
      return line(`${nameOf(task)}: ${task.step}${key}`)
    })
    if (task.state !== 'success') this.hint(`watch it: cryptvisor task watch ${task.id}`)
  }
}
