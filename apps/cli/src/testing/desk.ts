import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { Interrupt } from '../interrupt.ts'
import { run } from '../run.ts'
import { FakeControlPlane } from './fake-control-plane.ts'

export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly stdin?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Whether standard output and error are terminals. */
  readonly terminal?: boolean
  /** Hears what is written to standard output or error, piece by piece. */
  readonly onOutput?: (text: string) => void
  readonly interrupt?: Interrupt
}

/** A person's place for tests: a folder with a session at a fake control plane. */
export class Desk {
  readonly folder: string
  readonly config: string
  readonly fake: FakeControlPlane

  constructor(folder: string, fake: FakeControlPlane) {
    this.folder = folder
    this.config = join(folder, 'config', 'config.json')
    this.fake = fake
    this.writeConfig({ url: fake.url, ca: fake.ca, user: 'admin', token: 'good-token' })
  }

  writeConfig(value: unknown, mode = 0o600): void {
    mkdirSync(dirname(this.config), { recursive: true })
    writeFileSync(this.config, JSON.stringify(value), { mode })
  }

  file(name: string, content: string | Uint8Array, mode = 0o600): string {
    const path = join(this.folder, name)
    writeFileSync(path, content, { mode })
    return path
  }

  /** Runs one command line in this process. */
  async run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    const stdout = collector(options)
    const stderr = collector(options)
    const exitCode = await run(args, {
      stdin: Readable.from([Buffer.from(options.stdin ?? '')]),
      stdout: stdout.stream,
      stderr: stderr.stream,
      environment: { CRYPTVISOR_CONFIG: this.config, ...options.environment },
      homeFolder: this.folder,
      interrupt: options.interrupt ?? new Interrupt(() => {}),
      now: () => performance.now(),
      pollPace: { firstMs: 1, lastMs: 5 },
    })
    return { exitCode, stdout: stdout.text(), stderr: stderr.text() }
  }
}

function collector({ terminal, onOutput }: CliOptions) {
  let text = ''
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      text += String(chunk)
      onOutput?.(String(chunk))
      done()
    },
  })
  const output = Object.assign(stream, terminal === true ? { isTTY: true, columns: 100 } : {})
  return { stream: output, text: () => text }
}

/** A desk with a control plane of its own; both go away when the test is over. */
export async function openDesk(context: TestContext): Promise<{ desk: Desk; fake: FakeControlPlane }> {
  const fake = await FakeControlPlane.start()
  context.after(() => fake[Symbol.asyncDispose]())
  return { fake, desk: new Desk(temporaryFolder(context), fake) }
}
