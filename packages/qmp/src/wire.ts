import type { Duplex } from 'node:stream'
import { limit } from './limit.ts'
import { LineReader } from './line-reader.ts'
import { type Greeting, type Message, parseMessage } from './message.ts'
import { QmpError } from './qmp-error.ts'

/** Who is told what comes. */
export interface Receiver {
  receive(message: Exclude<Message, { kind: 'greeting' }>): void
  /** Once, when nothing comes any more. */
  end(reason: QmpError): void
}

/** Messages over a stream of bytes. Whatever QEMU says that is no QMP ends it. */
export class Wire {
  readonly #stream: Duplex
  readonly #reader = new LineReader()
  #receiver: Receiver | null = null
  #onGreeting: ((greeting: Greeting) => void) | null = null
  #failure: QmpError | null = null

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('data', (chunk: Uint8Array) => this.#read(chunk))
    stream.on('error', (cause) => this.close(new QmpError('closed', 'the connection to QEMU broke', { cause })))
    stream.on('end', () => this.#ended())
    stream.on('close', () => this.#ended())
  }

  /** What QEMU says first. Rejects when it does not. */
  greeting(timeoutMs: number): Promise<Greeting> {
    return new Promise((resolve, reject) => {
      const end = (reason: QmpError) => {
        callOff()
        this.close(reason)
        reject(
          new QmpError('connect-failed', 'QEMU does not greet: another client may have its monitor', { cause: reason }),
        )
      }
      const callOff = limit({ timeoutMs }, 'its greeting', end)
      this.#receiver = { receive: () => undefined, end }
      this.#onGreeting = (greeting) => {
        callOff()
        this.#receiver = null
        resolve(greeting)
      }
      if (this.#failure !== null) end(this.#failure)
    })
  }

  /** Tells `receiver` what comes from now on. */
  start(receiver: Receiver): void {
    this.#receiver = receiver
    if (this.#failure !== null) receiver.end(this.#failure)
  }

  /** Sends a line as it is; resolves when the stream has taken it or is at its end. Does not reject. */
  send(line: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#failure !== null) return resolve()
      this.#stream.write(line, () => resolve())
    })
  }

  /** Ends it with this reason, unless it is at its end already. */
  close(reason: QmpError): void {
    if (this.#failure !== null) return
    this.#failure = reason
    this.#stream.destroy()
    this.#receiver?.end(reason)
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const line of this.#reader.push(chunk)) {
        if (this.#failure !== null) return
        const message = parseMessage(line)
        if (message !== null) this.#take(message)
      }
    } catch (error) {
      if (!(error instanceof QmpError)) throw error
      this.close(error)
    }
  }

  #take(message: Message): void {
    const greet = this.#onGreeting
    if (message.kind === 'greeting') {
      if (greet === null) throw new QmpError('protocol', 'QEMU greeted again')
      this.#onGreeting = null
      greet(message.greeting)
    } else {
      // Before we have spoken there is nothing to say.
      if (this.#receiver === null || greet !== null) throw new QmpError('protocol', 'QEMU spoke before it greeted')
      this.#receiver.receive(message)
    }
  }

  #ended(): void {
    const where = this.#reader.pendingBytes === 0 ? '' : ' in the middle of a message'
    this.close(new QmpError('closed', `QEMU closed the connection${where}`))
  }
}
