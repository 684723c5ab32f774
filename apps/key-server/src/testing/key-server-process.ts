import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { KeyServerAdminClient } from '@cryptvisor/key-server-api'
import { KmipClient } from '@cryptvisor/kmip-client'
import { RestClient } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { temporaryFolder } from '@cryptvisor/testkit'

const program = fileURLToPath(new URL('../main.ts', import.meta.url))
const pollMs = 20
const readyPollsMax = 1500

/** How a command ended. */
export interface Ended {
  readonly exitCode: number | null
  readonly complaint: string
}

/** Runs a command of the program to its end. */
export async function runCommand(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const [complaint] = await Promise.all([text(child.stderr), once(child, 'close')])
  return { exitCode: child.exitCode, complaint }
}

/** What the program says when it listens. */
interface Ready {
  readonly kmip: { readonly host: string; readonly port: number }
  readonly admin: { readonly url: string }
}

/** A key server as a process of its own, in a folder of its own; it ends with the test. */
export class KeyServerProcess {
  readonly folder: string
  readonly data: string
  readonly rootKeyFile: string
  #child: ChildProcess | undefined
  #ready: Ready | undefined
  readonly #context: TestContext

  private constructor(context: TestContext, folder: string) {
    this.#context = context
    this.folder = folder
    this.data = join(folder, 'data')
    this.rootKeyFile = join(folder, 'elsewhere', 'root.key')
  }

  /** Sets a key server up and does not start it. */
  static async create(context: TestContext): Promise<KeyServerProcess> {
    const server = new KeyServerProcess(context, temporaryFolder(context))
    await server.command('init', '--root-key-file', server.rootKeyFile, '--host-name', '127.0.0.1')
    context.after(() => server.stop('SIGKILL'))
    return server
  }

  get kmip(): { host: string; port: number } {
    if (this.#ready === undefined) throw new Error('the key server does not run')
    return this.#ready.kmip
  }

  get adminUrl(): string {
    if (this.#ready === undefined) throw new Error('the key server does not run')
    return this.#ready.admin.url
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get logPath(): string {
    return join(this.folder, 'log')
  }

  /** Runs a command with this data folder; throws when it fails. */
  async command(name: string, ...args: readonly string[]): Promise<void> {
    const { exitCode, complaint } = await runCommand(name, '--dir', this.data, ...args)
    if (exitCode !== 0) throw new Error(complaint)
  }

  /** Starts it and waits until it listens. Throws with its last words when it ends instead. */
  async start(): Promise<void> {
    const outputPath = join(this.folder, 'out')
    const [output, log] = [openSync(outputPath, 'w', 0o600), openSync(this.logPath, 'a', 0o600)]
    const child = spawn(process.execPath, [program, 'serve', '--dir', this.data], { stdio: ['ignore', output, log] })
    closeSync(output)
    closeSync(log)
    this.#child = child
    for (let poll = 0; poll < readyPollsMax; poll++) {
      const line = readFileSync(outputPath, 'utf8')
      if (line.endsWith('\n')) {
        // The program prints one line of this shape.
        this.#ready = JSON.parse(line) as Ready
        return
      }
      if (child.exitCode !== null) throw new Error(readFileSync(this.logPath, 'utf8'))
      await sleep(pollMs)
    }
    throw new Error('the key server was not ready in time')
  }

  /** Ends it and gives its exit code; fine when it does not run. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
    return child.exitCode
  }

  /** Issues a client's certificate and gives the folder that it lies in. */
  async issueClient(name: string, folder = join(this.folder, `client-${name}`)): Promise<string> {
    await this.command('issue-client', name, '--out', folder)
    return folder
  }

  /** A KMIP client with the certificate in `folder`; it ends with the test. */
  client(folder: string): KmipClient {
    using clientKey = Secret.from(readFileSync(join(folder, 'client.key')))
    const client = new KmipClient({
      ...this.kmip,
      caPem: readFileSync(join(folder, 'ca.pem'), 'utf8'),
      clientCertificatePem: readFileSync(join(folder, 'client.pem'), 'utf8'),
      clientKey,
    })
    this.#context.after(() => client[Symbol.asyncDispose]())
    return client
  }

  /** The admin API as whoever holds that certificate and key sees it. */
  admin(certificate = join(this.data, 'admin.pem'), key = join(this.data, 'admin.key')): KeyServerAdminClient {
    const rest = new RestClient({
      url: this.adminUrl,
      ca: readFileSync(join(this.data, 'ca.pem'), 'utf8'),
      identity: { certificate: readFileSync(certificate, 'utf8'), privateKey: Secret.from(readFileSync(key)) },
    })
    this.#context.after(() => rest[Symbol.asyncDispose]())
    return new KeyServerAdminClient(rest)
  }
}
