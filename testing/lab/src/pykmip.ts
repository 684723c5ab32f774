import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CertificateAuthority, type Identity } from '@cryptvisor/pki'

const listensWithinMs = 30_000
const pollMs = 100

/** Debian's PyKMIP server, the peer that everybody tests with. Dispose of it to end it. */
export class PyKmipServer implements AsyncDisposable {
  readonly port: number
  /** PEM files of a client that it knows. */
  readonly files: { readonly ca: string; readonly certificate: string; readonly key: string }
  readonly #process: ChildProcess

  private constructor(port: number, files: PyKmipServer['files'], process: ChildProcess) {
    this.port = port
    this.files = files
    this.#process = process
  }

  /** Makes its certificates and its database in `folder` and starts it. Throws when it does not listen in time. */
  static async start(folder: string): Promise<PyKmipServer> {
    mkdirSync(join(folder, 'policies'), { recursive: true })
    const { authority } = await CertificateAuthority.create('PyKMIP CA', 1, () => new Date())
    using identity = await authority.issue({
      commonName: 'pykmip',
      usages: ['server'],
      hosts: ['127.0.0.1'],
      validDays: 1,
    })
    using client = await authority.issue({ commonName: 'control-plane', usages: ['client'], validDays: 1 })
    const write = (name: string, content: string | Uint8Array) => {
      const path = join(folder, name)
      writeFileSync(path, content, { mode: 0o600 })
      return path
    }
    const keyOf = (name: string, owner: Identity) => owner.privateKey.expose((bytes) => write(name, bytes))
    const ca = write('ca.pem', authority.certificate)
    const files = { ca, certificate: write('client.pem', client.certificate), key: keyOf('client.key', client) }
    const port = await freePort()
    const configuration = write(
      'server.conf',
      [
        '[server]',
        'hostname=127.0.0.1',
        `port=${port}`,
        `certificate_path=${write('server.pem', identity.certificate)}`,
        `key_path=${keyOf('server.key', identity)}`,
        `ca_path=${ca}`,
        'auth_suite=TLS1.2',
        `policy_path=${join(folder, 'policies')}`,
        'enable_tls_client_auth=True',
        'logging_level=WARNING',
        `database_path=${join(folder, 'pykmip.db')}`,
        '',
      ].join('\n'),
    )
    const log = join(folder, 'server.log')
    const server = spawn('pykmip-server', ['-f', configuration, '-l', log], { stdio: 'ignore', detached: true })
    const started = new PyKmipServer(port, files, server)
    try {
      await untilListening(port, server, log)
    } catch (error) {
      await started[Symbol.asyncDispose]()
      throw error
    }
    return started
  }

  /** Ends it and the child that it has of its own: both are in a process group of their own. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#process
    if (pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null) return
    process.kill(-pid, 'SIGKILL')
    await once(this.#process, 'exit')
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilListening(port: number, process: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + listensWithinMs
  for (;;) {
    if (process.exitCode !== null) throw new Error(`pykmip-server ended: ${readFileSync(log, 'utf8')}`)
    if (await answers(port)) return
    if (Date.now() > deadline) throw new Error('pykmip-server did not listen in time')
    await sleep(pollMs)
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
