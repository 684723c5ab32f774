import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { CertificateAuthority, type Identity } from '@cryptvisor/pki'
import type { Secret } from '@cryptvisor/secret'
import { freePort } from './free-port.ts'
import { isInstalled } from './installed.ts'

const host = '127.0.0.1'
const startTriesMax = 3
const answersWithinMs = 20_000
const pollMs = 50

/** Why a test with PyKMIP is skipped; `false` when its server is installed. */
export const pykmipSkip: string | false = isInstalled('pykmip-server')
  ? false
  : 'pykmip-server is not installed (apt install python3-pykmip)'

/** Debian's PyKMIP server, the peer that everybody tests with. Dispose of it to end it. */
export class PykmipServer implements AsyncDisposable {
  /** PEM files: its CA, and a client that it knows. */
  readonly files: { readonly ca: string; readonly certificate: string; readonly key: string }
  readonly authority: CertificateAuthority
  readonly port: number
  readonly #folder: string
  readonly #client: Identity
  readonly #process: ChildProcess

  private constructor(set: PykmipSetUp, port: number, process: ChildProcess) {
    this.files = set.files
    this.authority = set.authority
    this.port = port
    this.#folder = set.folder
    this.#client = set.client
    this.#process = process
  }

  /**
   * Makes certificates and a database in `folder` and starts it; `clientCas` (PEM) are authorities, or single certificates,
   * whose clients it takes beside its own. Throws with its log when it does not answer.
   */
  static async start(folder: string, { clientCas = '' }: { readonly clientCas?: string } = {}): Promise<PykmipServer> {
    const set = await setUp(folder, clientCas)
    for (let tries = 1; ; tries++) {
      const port = await freePort()
      const server = new PykmipServer(set, port, spawnServer(set, port))
      if (await server.#answers()) return server
      const log = server.log()
      await server.#end()
      if (tries === startTriesMax) throw new Error(`pykmip-server does not start:\n${log}`)
    }
  }

  /** How a KMIP client reaches it. */
  get options(): {
    readonly host: string
    readonly port: number
    readonly caPem: string
    readonly clientCertificatePem: string
    readonly clientKey: Secret
  } {
    const { certificate, privateKey } = this.#client
    return {
      host,
      port: this.port,
      caPem: this.authority.certificate,
      clientCertificatePem: certificate,
      clientKey: privateKey,
    }
  }

  /** What it has logged, for when a test fails. */
  log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
    this.#client[Symbol.dispose]()
  }

  /** Whether a TLS handshake with it succeeds in time. */
  async #answers(): Promise<boolean> {
    const { caPem: ca, clientCertificatePem: cert, clientKey } = this.options
    const deadline = Date.now() + answersWithinMs
    while (this.#process.exitCode === null && Date.now() < deadline) {
      const socket = clientKey.expose((key) => connect({ host, port: this.port, ca, cert, key: Buffer.from(key) }))
      const isUp = await once(socket, 'secureConnect').then(
        () => true,
        () => false,
      )
      socket.destroy()
      if (isUp) return true
      await sleep(pollMs)
    }
    return false
  }

  /** Ends it and the process that it has of its own: both are in a process group of their own. */
  async #end(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#process
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    const ended = once(this.#process, 'exit')
    process.kill(-pid, 'SIGKILL')
    await ended
  }
}

interface PykmipSetUp {
  readonly folder: string
  readonly authority: CertificateAuthority
  readonly client: Identity
  readonly files: PykmipServer['files']
}

async function setUp(folder: string, clientCas: string): Promise<PykmipSetUp> {
  mkdirSync(join(folder, 'policy'), { recursive: true })
  const { authority, privateKey } = await CertificateAuthority.create('PyKMIP CA', 2, () => new Date())
  privateKey[Symbol.dispose]()
  using server = await authority.issue({ commonName: 'pykmip', usages: ['server'], hosts: [host], validDays: 1 })
  // One common name is all that PyKMIP knows a client by.
  const client = await authority.issue({ commonName: 'control-plane', usages: ['client'], validDays: 1 })
  const write = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  write('server.pem', server.certificate)
  server.privateKey.expose((key) => write('server.key', key))
  write('client-cas.pem', authority.certificate + clientCas)
  const files = {
    ca: write('ca.pem', authority.certificate),
    certificate: write('client.pem', client.certificate),
    key: client.privateKey.expose((key) => write('client.key', key)),
  }
  return { folder, authority, client, files }
}

function spawnServer({ folder }: PykmipSetUp, port: number): ChildProcess {
  const configuration = join(folder, 'server.conf')
  writeFileSync(
    configuration,
    `[server]
hostname=${host}
port=${port}
certificate_path=${folder}/server.pem
key_path=${folder}/server.key
ca_path=${folder}/client-cas.pem
auth_suite=TLS1.2
policy_path=${folder}/policy
enable_tls_client_auth=True
logging_level=INFO
database_path=${folder}/database
`,
  )
  writeFileSync(join(folder, 'log'), '')
  return spawn('pykmip-server', ['-f', configuration, '-l', join(folder, 'log')], { stdio: 'ignore', detached: true })
}
