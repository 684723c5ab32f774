import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { controlPlaneUri, HostAgentClient, hostUri } from '@cryptvisor/host-agent-api'
import { CertificateAuthority, type Identity, type Profile } from '@cryptvisor/pki'
import { RestClient } from '@cryptvisor/rest'
import { type AgentConfig, agentFiles } from '../config.ts'
import { freePort } from '../free-port.ts'

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url))

/** How the process is started. */
export interface StartOptions {
  /** A program that becomes the agent, and its arguments. */
  readonly prefix?: readonly string[]
  readonly nodeArgs?: readonly string[]
  readonly env?: Record<string, string>
}

/** A real agent process for a test, in an enrolled folder of its own, and the control plane's side of it. */
export class TestAgent {
  /** The agent's own folder. */
  readonly folder: string
  /** A datastore. */
  readonly datastore: string
  readonly authority: CertificateAuthority
  readonly config: AgentConfig
  /** All that it ever wrote on standard error. */
  log = ''
  #child: ChildProcess | null = null
  readonly #closing: (() => Promise<void>)[] = []
  #client: HostAgentClient | null = null

  private constructor(root: string, authority: CertificateAuthority, config: AgentConfig) {
    this.folder = join(root, 'agent')
    this.datastore = join(root, 'datastore')
    this.authority = authority
    this.config = config
  }

  /** Makes the folder of an enrolled agent; everything goes when the test has ended. */
  static async create(context: TestContext, change: Partial<AgentConfig> = {}): Promise<TestAgent> {
    const root = mkdtempSync(join(tmpdir(), 'host-agent-'))
    const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, () => new Date())
    privateKey[Symbol.dispose]()
    const port = await freePort('127.0.0.1')
    const agent = new TestAgent(root, authority, {
      name: 'host-a',
      hostId: 'host-a-id',
      hardwareUuid: randomUUID(),
      url: `https://127.0.0.1:${port}`,
      port,
      // Nobody listens there: an agent works without its session.
      controlPlaneUrl: 'https://127.0.0.1:1',
      crypto: 'supported',
      ...change,
    })
    context.after(async () => {
      await agent.kill('SIGKILL')
      for (const close of agent.#closing) await close()
      rmSync(root, { recursive: true, force: true })
    })
    await agent.#writeFolder()
    return agent
  }

  /** Starts the process, and waits until it says that it is ready. */
  async start({ prefix = [], nodeArgs = [], env = {} }: StartOptions = {}) {
    const [command = '', ...args] = [...prefix, process.execPath, ...nodeArgs, mainPath, 'serve', '--dir', this.folder]
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    })
    this.#child = child
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    const first = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
    if (first.done === true) throw new Error(`the agent did not start: ${this.log}`)
    return JSON.parse(String(first.value)) as { ready: boolean; url: string; name: string }
  }

  /** Ends the process, and gives what it ended with. */
  async kill(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const closed = once(child, 'close')
    child.kill(signal)
    await closed
    return child.exitCode
  }

  /** Waits for the process to end by itself. */
  async ended(): Promise<number | null> {
    const child = this.#child
    if (child !== null && child.exitCode === null && child.signalCode === null) await once(child, 'close')
    return child?.exitCode ?? null
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the agent does not run')
    return pid
  }

  /** Calls it as the control plane. */
  async client(): Promise<HostAgentClient> {
    this.#client ??= new HostAgentClient(
      this.rest(await this.identity({ commonName: 'control plane', usages: ['client'], uris: [controlPlaneUri] })),
    )
    return this.#client
  }

  /** An identity under the CA that the agent trusts. */
  async identity(profile: Omit<Profile, 'validDays'>, authority = this.authority): Promise<Identity> {
    const identity = await authority.issue({ ...profile, validDays: 1 })
    this.#closing.push(async () => identity[Symbol.dispose]())
    return identity
  }

  /** Calls it with an identity, or with none. */
  rest(identity?: Identity): RestClient {
    const client = new RestClient({
      url: this.config.url,
      ca: this.authority.certificate,
      ...(identity === undefined ? {} : { identity }),
    })
    this.#closing.unshift(() => client[Symbol.asyncDispose]())
    return client
  }

  async #writeFolder(): Promise<void> {
    mkdirSync(this.folder, { mode: 0o700 })
    mkdirSync(this.datastore)
    const identity = await this.identity({
      commonName: this.config.name,
      usages: ['server', 'client'],
      hosts: ['127.0.0.1'],
      uris: [hostUri(this.config.hostId)],
    })
    const write = (path: string, bytes: string | Uint8Array) => writeFileSync(path, bytes, { mode: 0o600 })
    identity.privateKey.expose((bytes) => write(agentFiles.privateKey(this.folder), bytes))
    write(agentFiles.certificate(this.folder), identity.certificate)
    write(agentFiles.ca(this.folder), this.authority.certificate)
    write(agentFiles.config(this.folder), JSON.stringify(this.config))
  }
}
