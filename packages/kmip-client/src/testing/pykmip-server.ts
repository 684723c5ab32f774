import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { CertificateAuthority, type Identity } from '@cryptvisor/pki'
import { temporaryFolder } from '@cryptvisor/testkit'
import type { ServerOptions } from '../server-options.ts'

/** What of `node:test` is needed: something to run when the test is over. */
interface Ending {
  after(run: () => void | Promise<void>): void
}

/** PyKMIP's server (Debian's `python3-pykmip`), running on this machine. */
export interface PykmipServer {
  /** How to reach it, with a client certificate that it takes. */
  readonly options: ServerOptions
  readonly authority: CertificateAuthority
  /** What it has logged, for when a test fails. */
  log(): string
}

/** Why a test with PyKMIP is skipped; `false` when its server is installed. */
export const pykmipSkip: string | false = isInstalled()
  ? false
  : 'pykmip-server is not installed (apt install python3-pykmip)'

function isInstalled(): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, 'pykmip-server'), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const host = '127.0.0.1'
const startTriesMax = 3
const answerTriesMax = 200

/** Starts PyKMIP's server with certificates, database and port of its own; it ends with the test. */
export async function startPykmip(context: Ending): Promise<PykmipServer> {
  const folder = temporaryFolder(context)
  const { authority, privateKey } = await CertificateAuthority.create('PyKMIP test', 2, () => new Date())
  privateKey[Symbol.dispose]()
  using server = await authority.issue({ commonName: 'pykmip', usages: ['server'], hosts: [host], validDays: 1 })
  // One common name is all that PyKMIP knows a client by.
  const client = await authority.issue({ commonName: 'cryptvisor', usages: ['client'], validDays: 1 })
  context.after(() => client[Symbol.dispose]())
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const child = spawnServer(folder, port, authority, server)
    const isUp = await answers(child, port, authority, client)
    const log = () => readFileSync(join(folder, 'log'), 'utf8')
    if (isUp) {
      context.after(() => end(child))
      const options = {
        host,
        port,
        caPem: authority.certificate,
        clientCertificatePem: client.certificate,
        clientKey: client.privateKey,
      }
      return { options, authority, log }
    }
    await end(child)
    if (attempt === startTriesMax) throw new Error(`pykmip-server does not start:\n${log()}`)
  }
}

function spawnServer(folder: string, port: number, authority: CertificateAuthority, server: Identity): ChildProcess {
  mkdirSync(join(folder, 'policy'), { recursive: true })
  writeFileSync(join(folder, 'ca.pem'), authority.certificate)
  writeFileSync(join(folder, 'server.pem'), server.certificate)
  server.privateKey.expose((key) => writeFileSync(join(folder, 'server.key'), key, { mode: 0o600 }))
  writeFileSync(
    join(folder, 'server.conf'),
    `[server]
hostname=${host}
port=${port}
certificate_path=${folder}/server.pem
key_path=${folder}/server.key
ca_path=${folder}/ca.pem
auth_suite=TLS1.2
policy_path=${folder}/policy
enable_tls_client_auth=True
logging_level=DEBUG
database_path=${folder}/database
`,
  )
  return spawn('pykmip-server', ['-f', join(folder, 'server.conf'), '-l', join(folder, 'log')], { stdio: 'ignore' })
}

/** Waits until a TLS handshake with the server succeeds; `false` when it ended, or took too long. */
async function answers(child: ChildProcess, port: number, authority: CertificateAuthority, client: Identity) {
  for (let attempt = 0; attempt < answerTriesMax && child.exitCode === null; attempt++) {
    const socket = client.privateKey.expose((key) =>
      connect({ host, port, ca: authority.certificate, cert: client.certificate, key: Buffer.from(key) }),
    )
    const isUp = await once(socket, 'secureConnect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isUp) return true
    await sleep(50)
  }
  return false
}

/** PyKMIP stops at an interrupt, and takes its worker processes with it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGINT')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(timer)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
