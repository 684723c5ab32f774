import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceName } from './names.ts'
import type { Places } from './places.ts'
import { environment, programPath } from './program.ts'

const readyWithinMs = 60_000
const stopWithinMs = 15_000
const pollMs = 50

/** A process by number and start time, so that a number that was used again is not taken for it. */
interface Process {
  readonly pid: number
  readonly startTime: string
}

/** Field 22 of `/proc/PID/stat` (proc(5)); `null` when there is no such process or it is a zombie. */
function startTimeOf(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[0] === 'Z' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

/** Sends a signal; fine when the process has just ended by itself. */
function send({ pid }: Process, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // Node's system errors carry the system's code.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** One service of a lab: started apart from us, found again by its file in `run/`. */
export class Service {
  readonly name: ServiceName
  readonly #places: Places

  constructor(name: ServiceName, places: Places) {
    this.name = name
    this.#places = places
  }

  get #file(): string {
    return join(this.#places.runs, `${this.name}.json`)
  }

  get #output(): string {
    return join(this.#places.runs, `${this.name}.out`)
  }

  get logPath(): string {
    return join(this.#places.logs, `${this.name}.log`)
  }

  /** The process that runs now; `null`: none. */
  get pid(): number | null {
    return this.#process()?.pid ?? null
  }

  /** Starts it unless it runs, and waits until it answers; gives what it said when it was ready. */
  async start(): Promise<Readonly<Record<string, unknown>>> {
    if (this.#process() === null) this.#spawn()
    const deadline = Date.now() + readyWithinMs
    for (;;) {
      const ready = this.#readyLine()
      if (ready !== null) return ready
      if (this.#process() === null)
        throw new Error(`${this.name} ended at once; see ${this.logPath}:\n${this.#logTail()}`)
      if (Date.now() > deadline) throw new Error(`${this.name} was not ready in time; see ${this.logPath}`)
      await sleep(pollMs)
    }
  }

  /** Asks it to end, and ends it when it does not; fine when it does not run. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const running = this.#process()
    if (running !== null) {
      send(running, signal)
      const deadline = Date.now() + stopWithinMs
      while (startTimeOf(running.pid) === running.startTime) {
        if (Date.now() > deadline) send(running, 'SIGKILL')
        await sleep(pollMs)
      }
    }
    rmSync(this.#file, { force: true })
    rmSync(this.#output, { force: true })
  }

  /** Kills it and does not wait: for when this process itself is about to end. */
  kill(): void {
    const running = this.#process()
    if (running !== null) send(running, 'SIGKILL')
  }

  #spawn(): void {
    mkdirSync(this.#places.runs, { recursive: true, mode: 0o700 })
    mkdirSync(this.#places.logs, { recursive: true, mode: 0o700 })
    const output = openSync(this.#output, 'w', 0o600)
    const log = openSync(this.logPath, 'a', 0o600)
    const program = this.name === 'key-server' || this.name === 'control-plane' ? this.name : 'host-agent'
    const child = spawn(process.execPath, [programPath(program), 'serve', '--dir', this.#places.data(this.name)], {
      cwd: this.#places.folder,
      detached: true,
      env: environment(),
      stdio: ['ignore', output, log],
    })
    closeSync(output)
    closeSync(log)
    child.unref()
    if (child.pid === undefined) throw new Error(`${this.name} could not be started`)
    const entry: Process = { pid: child.pid, startTime: startTimeOf(child.pid) ?? '' }
    writeFileSync(this.#file, JSON.stringify(entry), { mode: 0o600 })
  }

  #process(): Process | null {
    let entry: Process
    try {
      // We wrote it ourselves.
      entry = JSON.parse(readFileSync(this.#file, 'utf8')) as Process
    } catch {
      return null
    }
    return startTimeOf(entry.pid) === entry.startTime ? entry : null
  }

  #readyLine(): Readonly<Record<string, unknown>> | null {
    const line = readFileSync(this.#output, 'utf8')
      .split('\n')
      .find((line) => line.startsWith('{"ready":true'))
    // Every service prints one JSON object that begins so.
    return line === undefined ? null : (JSON.parse(line) as Record<string, unknown>)
  }

  #logTail(): string {
    try {
      return readFileSync(this.logPath, 'utf8').trimEnd().split('\n').slice(-5).join('\n')
    } catch {
      return ''
    }
  }
}
