import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Event, Key, Task, Vm } from '@cryptvisor/control-plane-api'
import { environment, type Lab, type LabDescription, TemporaryLab } from '@cryptvisor/lab'

/** The command line from the sources, for a lab. */
export const tool = fileURLToPath(new URL('../tools/cryptvisor.ts', import.meta.url))
const waitMs = 60_000
const pollMs = 50

/** What a program that was run to its end did. */
export interface Outcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, gives it `input`, and does not care how it ended. */
export async function run(command: string, args: readonly string[], input: string | Uint8Array = ''): Promise<Outcome> {
  const child = spawn(command, args, { env: environment(), stdio: ['pipe', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, stdout, stderr }
}

/** Runs a program to its end and gives its standard output; throws with its standard error when it fails. */
export async function succeed(
  command: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<string> {
  const { exitCode, stdout, stderr } = await run(command, args, input)
  if (exitCode !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${exitCode}: ${stderr}`)
  return stdout
}

/** SHA-256 of a file, hex. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Waits until `look` gives something other than null; throws, naming `what`, when it does not come. */
export async function eventually<Value>(what: string, look: () => Promise<Value | null>): Promise<Value> {
  const deadline = Date.now() + waitMs
  for (;;) {
    const value = await look()
    if (value !== null) return value
    if (Date.now() > deadline) throw new Error(`${what}: did not come in ${waitMs / 1000} seconds`)
    await sleep(pollMs)
  }
}

/** A lab of its own for one test, used through the command line as a person does. */
export class LabUnderTest {
  readonly lab: Lab
  readonly folder: string

  private constructor(lab: Lab) {
    this.lab = lab
    this.folder = lab.places.folder
  }

  /** Starts a lab that is stopped and removed when the test is over. */
  static async start(context: TestContext): Promise<LabUnderTest> {
    const lab = new TemporaryLab('e2e')
    context.after(() => lab[Symbol.asyncDispose]())
    await lab.up()
    return new LabUnderTest(lab)
  }

  get description(): LabDescription {
    const description = this.lab.describe()
    if (description === null) throw new Error('the lab is not up')
    return description
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Runs `cryptvisor ARGS` against the lab, however it ends. */
  cryptvisor(...args: readonly string[]): Promise<Outcome> {
    return run(process.execPath, [tool, '--dir', this.folder, ...args])
  }

  /** Runs `cryptvisor ARGS --json` and gives what it prints. */
  async json<Answer>(...args: readonly string[]): Promise<Answer> {
    return JSON.parse(await succeed(process.execPath, [tool, '--dir', this.folder, ...args, '--json'])) as Answer
  }

  vm(name: string): Promise<Vm> {
    return this.json<Vm>('vm', 'show', name)
  }

  events(...filter: readonly string[]): Promise<readonly Event[]> {
    return this.json<Event[]>('event', 'list', '--limit', '200', ...filter)
  }

  keys(): Promise<readonly Key[]> {
    return this.json<Key[]>('keys', 'list')
  }

  /** The task once it has ended. */
  taskEnd(id: string): Promise<Task> {
    return eventually(`the end of task ${id}`, async () => {
      const task = await this.json<Task>('task', 'show', id)
      return ['queued', 'running'].includes(task.state) ? null : task
    })
  }
}
