import type { Duplex } from 'node:stream'
import type { Secret } from '@cryptvisor/secret'
import type { ArgumentsOf, CommandName, ResultOf } from './commands.ts'
import { EventLog, type Mark } from './event-log.ts'
import { limit } from './limit.ts'
import type { MasterSecret } from './master-secret.ts'
import type { Greeting, Message } from './message.ts'
import { QmpError } from './qmp-error.ts'
import { type EventName, isEvent, type KnownEvent, type QmpEvent } from './qmp-event.ts'
import { problemOfResult } from './result-shapes.ts'
import { type SecretObject, secretLine } from './secret-line.ts'
import { Wire } from './wire.ts'

/** QEMU answers at once, but stands still for seconds while it opens an image on a busy host. */
export const commandTimeoutMs = 30_000

/** A second client of a monitor waits for its greeting until the first one goes. */
export const greetingTimeoutMs = 5000

/** Commands that wait for their answers at one time, those included that nobody waits for any more. */
export const commandsMax = 256

/** What went over the connection, without secrets and without the results of commands: fit for a log. */
export type QmpTrace =
  | { readonly kind: 'command'; readonly id: number; readonly name: string; readonly arguments: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly name: string; readonly refusal: string | null }
  | { readonly kind: 'event'; readonly event: QmpEvent }

export interface QmpOptions {
  readonly greetingTimeoutMs?: number
  readonly trace?: (what: QmpTrace) => void
}

export interface CommandOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Ahead of what waits, where this QEMU does that; QEMU's documentation says which commands may. */
  readonly outOfBand?: boolean
}

/** Arguments may be left out where there are none, or all of them may be. */
type Given<Name extends CommandName> = [undefined] extends [ArgumentsOf<Name>]
  ? [given?: ArgumentsOf<Name>, options?: CommandOptions]
  : [given: ArgumentsOf<Name>, options?: CommandOptions]

export interface EventWait<Name extends EventName> {
  /** Looks at what came since this mark first; without it only at what comes from now on. */
  readonly since?: Mark
  readonly where?: (event: KnownEvent<Name>) => boolean
  /** `null`: as long as the connection lasts. */
  readonly timeoutMs: number | null
  readonly signal?: AbortSignal
}

interface Pending {
  readonly name: CommandName
  readonly resolve: (result: unknown) => void
  readonly reject: (error: QmpError) => void
}

interface Waiter {
  /** Whether that was what it waited for. */
  offer(event: QmpEvent): boolean
  fail(error: QmpError): void
}

/**
 * A connection to a QEMU's monitor (QMP). Commands are carried out one after the other, in the order in which they were given. Everything
 * rejects with QmpError. When the connection ends QEMU lives on, and another connection may be made.
 */
export class Qmp implements Disposable {
  readonly greeting: Greeting
  /** Settles when the connection is at its end, with the reason; never rejects. */
  readonly closed: Promise<QmpError>
  readonly #wire: Wire
  readonly #trace: (what: QmpTrace) => void
  readonly #pending = new Map<number, Pending>()
  readonly #events = new EventLog()
  readonly #waiters = new Set<Waiter>()
  readonly #listeners = new Set<(event: QmpEvent) => void>()
  #failure: QmpError | null = null
  #commandCount = 0
  #hasOutOfBand = false

  private constructor(wire: Wire, greeting: Greeting, trace: (what: QmpTrace) => void) {
    const { promise, resolve } = Promise.withResolvers<QmpError>()
    this.closed = promise
    this.greeting = greeting
    this.#wire = wire
    this.#trace = trace
    wire.start({
      receive: (message) => this.#receive(message),
      end: (reason) => {
        this.#end(reason)
        resolve(reason)
      },
    })
  }

  /**
   * Waits for QEMU's greeting and agrees on capabilities. `stream` must have copied what it was given when it says that it is written, as
   * sockets have. Rejects with QmpError, and the stream is at its end, when that fails.
   */
  static async open(stream: Duplex, options: QmpOptions = {}): Promise<Qmp> {
    const wire = new Wire(stream)
    const greeting = await wire.greeting(options.greetingTimeoutMs ?? greetingTimeoutMs)
    const qmp = new Qmp(wire, greeting, options.trace ?? (() => undefined))
    const hasOutOfBand = greeting.capabilities.includes('oob')
    try {
      await qmp.execute('qmp_capabilities', hasOutOfBand ? { enable: ['oob'] } : {})
    } catch (error) {
      qmp.close()
      throw error
    }
    qmp.#hasOutOfBand = hasOutOfBand
    return qmp
  }

  /** Gives a command and resolves with its answer. QmpError `refused` has QEMU's own words. */
  async execute<Name extends CommandName>(name: Name, ...[given, options]: Given<Name>): Promise<ResultOf<Name>> {
    const key = options?.outOfBand === true && this.#hasOutOfBand ? 'exec-oob' : 'execute'
    const result = await this.#ask(name, options ?? {}, (id) => {
      this.#trace({ kind: 'command', id, name, arguments: given })
      void this.#wire.send(Buffer.from(`${JSON.stringify({ [key]: name, arguments: given, id })}\n`))
    })
    // Its shape was compared with that of this command's results.
    return result as ResultOf<Name>
  }

  /**
   * Makes a secret object, whose content is wrapped under `master`, which QEMU has as the object `masterId`. No string and no buffer that
   * outlives the call has anything of it. Take it back with `object-del` as soon as it was used.
   */
  async addSecret(
    { id, masterId }: SecretObject,
    secret: Secret,
    master: MasterSecret,
    options: CommandOptions = {},
  ): Promise<void> {
    let written: Promise<void> | undefined
    try {
      await this.#ask('object-add', options, (commandId) => {
        const line = secretLine(commandId, { id, masterId }, master.wrap(secret))
        this.#trace({ kind: 'command', id: commandId, name: 'object-add', arguments: { 'qom-type': 'secret', id } })
        written = this.#wire.send(line).finally(() => line.fill(0))
      })
    } finally {
      await written
    }
  }

  /** Now, for `event` to look back at. */
  mark(): Mark {
    return this.#events.mark()
  }

  /** Resolves with the first event called one of `names` for which `where` holds. */
  async event<Name extends EventName>(names: Name | readonly Name[], wait: EventWait<Name>): Promise<KnownEvent<Name>> {
    const wanted: readonly Name[] = typeof names === 'string' ? [names] : names
    const matches = (event: QmpEvent): event is KnownEvent<Name> =>
      isEvent(event, wanted) && (wait.where === undefined || wait.where(event))
    const past = wait.since === undefined ? null : this.#events.firstSince(wait.since, matches)
    if (past !== null) return past
    if (this.#failure !== null) throw this.#closedError(`waiting for ${wanted.join(' or ')}`)
    return await new Promise((resolve, reject) => {
      const fail = (error: QmpError) => {
        callOff()
        this.#waiters.delete(waiter)
        reject(error)
      }
      const waiter: Waiter = {
        offer(event) {
          try {
            if (!matches(event)) return false
            callOff()
            resolve(event)
          } catch (error) {
            // Of `where`, which is its caller's affair.
            callOff()
            reject(error)
          }
          return true
        },
        fail,
      }
      this.#waiters.add(waiter)
      const callOff = limit(wait, `the event ${wanted.join(' or ')}`, (error) => queueMicrotask(() => fail(error)))
    })
  }

  /** Calls `listener`, which must not throw, for each event from now on, until the result is disposed of. */
  onEvent(listener: (event: QmpEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Ends the connection; QEMU lives on. */
  close(): void {
    this.#wire.close(new QmpError('closed', 'the connection to QEMU was closed'))
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #ask(name: CommandName, options: CommandOptions, send: (id: number) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#closedError(name))
      if (this.#pending.size >= commandsMax) {
        return reject(new QmpError('too-many', `${name}: ${commandsMax} commands wait for QEMU’s answer already`))
      }
      const id = ++this.#commandCount
      // One that nobody waits for any more stays listed, so that its answer is known for what it is.
      const callOff = limit(
        { timeoutMs: options.timeoutMs ?? commandTimeoutMs, signal: options.signal },
        `QEMU’s answer to ${name}`,
        reject,
      )
      const settle =
        <Value>(how: (value: Value) => void) =>
        (value: Value) => {
          callOff()
          how(value)
        }
      this.#pending.set(id, { name, resolve: settle(resolve), reject: settle(reject) })
      try {
        send(id)
      } catch (error) {
        this.#pending.delete(id)
        callOff()
        reject(error)
      }
    })
  }

  #receive(message: Exclude<Message, { kind: 'greeting' }>): void {
    if (message.kind === 'event') this.#told(message.event)
    else this.#answered(message)
  }

  #answered(message: Exclude<Message, { kind: 'greeting' | 'event' }>): void {
    const pending = this.#pending.get(message.id)
    if (pending === undefined) throw new QmpError('protocol', 'QEMU answered a command that nobody gave')
    this.#pending.delete(message.id)
    const { name } = pending
    const error = message.kind === 'refusal' ? refused(name, message) : badAnswer(name, message.result)
    this.#trace({ kind: 'answer', id: message.id, name, refusal: error?.message ?? null })
    if (error !== null) pending.reject(error)
    else if (message.kind === 'result') pending.resolve(message.result)
  }

  #told(event: QmpEvent): void {
    this.#trace({ kind: 'event', event })
    this.#events.add(event)
    for (const waiter of [...this.#waiters]) if (waiter.offer(event)) this.#waiters.delete(waiter)
    for (const listener of [...this.#listeners]) listener(event)
  }

  #end(reason: QmpError): void {
    this.#failure = reason
    for (const { name, reject } of this.#pending.values()) reject(this.#closedError(name))
    this.#pending.clear()
    for (const waiter of [...this.#waiters]) waiter.fail(this.#closedError('waiting for an event'))
  }

  #closedError(what: string): QmpError {
    const reason = this.#failure
    return new QmpError(reason?.code ?? 'closed', `${what}: ${reason?.message ?? 'closed'}`, { cause: reason })
  }
}

function refused(name: string, { qemuClass, description }: { qemuClass: string; description: string }): QmpError {
  return new QmpError('refused', `QEMU refused ${name}: ${description}`, { qemuClass })
}

function badAnswer(name: CommandName, result: unknown): QmpError | null {
  const problem = problemOfResult(name, result)
  return problem === null ? null : new QmpError('bad-answer', `QEMU’s answer is not what it should be: ${problem}`)
}
