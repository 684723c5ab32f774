import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

/** What a command looks like on the wire. */
export interface SentCommand {
  readonly execute?: string
  readonly 'exec-oob'?: string
  readonly arguments?: unknown
  readonly id: number
}

export const greetingLine =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n'

/** A monitor that says what a test wants it to, over a real UNIX socket; it agrees to capabilities by itself. */
export class FakeQemu implements AsyncDisposable {
  readonly path: string
  readonly commands: SentCommand[] = []
  /** Every byte that came. */
  received = Buffer.alloc(0)
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #answer: (command: SentCommand, fake: FakeQemu) => string | null

  private constructor(path: string, greeting: string, answer: (command: SentCommand, fake: FakeQemu) => string | null) {
    this.path = path
    this.#answer = answer
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      let rest = ''
      socket.write(greeting)
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        this.received = Buffer.concat([this.received, chunk])
        const lines = (rest + chunk.toString()).split('\n')
        rest = lines.pop() ?? ''
        // Ours are made by JSON.stringify, or as it would.
        for (const line of lines) this.#take(socket, JSON.parse(line) as SentCommand)
      })
    })
  }

  /** `answer` gives what is to be sent for a command; `null` is nothing. */
  static async start(
    folder: string,
    answer: (command: SentCommand, fake: FakeQemu) => string | null = ({ id }) => `{"return":{},"id":${id}}\n`,
    greeting = greetingLine,
  ): Promise<FakeQemu> {
    const fake = new FakeQemu(join(folder, 'monitor'), greeting, answer)
    fake.#server.listen(fake.path)
    await once(fake.#server, 'listening')
    return fake
  }

  /** Sends bytes to whoever is connected. */
  say(bytes: string | Uint8Array): void {
    for (const socket of this.#sockets) socket.write(bytes)
  }

  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #take(socket: Socket, command: SentCommand): void {
    this.commands.push(command)
    const answer =
      command.execute === 'qmp_capabilities' ? `{"return": {}, "id": ${command.id}}\n` : this.#answer(command, this)
    if (answer !== null) socket.write(answer)
  }
}
