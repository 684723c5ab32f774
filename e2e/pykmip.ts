import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { CertificateAuthority, type Identity } from '@cryptvisor/pki'
import { eventually, run } from './lab-under-test.ts'

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

/** A running PyKMIP server, with a client identity that it knows. */
export interface PyKmip {
  readonly port: number
  readonly process: ChildProcess
  readonly files: { readonly ca: string; readonly certificate: string; readonly key: string }
}

/** Starts Debian's `pykmip-server` in `folder`; it ends with the test. */
export async function startPyKmip(context: TestContext, folder: string): Promise<PyKmip> {
  mkdirSync(join(folder, 'policies'), { recursive: true })
  const { authority } = await CertificateAuthority.create('PyKMIP CA', 1, () => new Date())
  using server = await authority.issue({ commonName: 'pykmip', usages: ['server'], hosts: ['127.0.0.1'], validDays: 1 })
  using client = await authority.issue({ commonName: 'control-plane', usages: ['client'], validDays: 1 })
  const write = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const keyOf = (name: string, identity: Identity) => identity.privateKey.expose((bytes) => write(name, bytes))
  const ca = write('ca.pem', authority.certificate)
  const port = await freePort()
  const configuration = write(
    'server.conf',
    [
      '[server]',
      'hostname=127.0.0.1',
      `port=${port}`,
      `certificate_path=${write('server.pem', server.certificate)}`,
      `key_path=${keyOf('server.key', server)}`,
      `ca_path=${ca}`,
      'auth_suite=TLS1.2',
      `policy_path=${join(folder, 'policies')}`,
      'enable_tls_client_auth=True',
      'logging_level=INFO',
      `database_path=${join(folder, 'pykmip.db')}`,
      '',
    ].join('\n'),
  )
  const log = join(folder, 'server.log')
  const process = spawn('pykmip-server', ['-f', configuration, '-l', log], { stdio: 'ignore' })
  context.after(async () => {
    if (process.exitCode !== null || process.signalCode !== null) return
    process.kill('SIGKILL')
    await once(process, 'exit')
  })
  await eventually('PyKMIP to listen', async () => {
    if (process.exitCode !== null) throw new Error(`pykmip-server ended: ${readFileSync(log, 'utf8')}`)
    const { exitCode } = await run('bash', ['-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`])
    return exitCode === 0 || null
  })
  return {
    port,
    process,
    files: { ca, certificate: write('client.pem', client.certificate), key: keyOf('client.key', client) },
  }
}
