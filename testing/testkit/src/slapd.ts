import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CertificateAuthority } from '@cryptvisor/pki'
import { freePort } from './free-port.ts'
import { unpackSlapd } from './slapd-unpacked.ts'

const host = '127.0.0.1'
const answersWithinMs = 20_000
const pollMs = 20

/** The suffix of the directory, and who may write it. */
export const suffix = 'dc=example,dc=org'
export const slapdAdmin = { dn: `cn=admin,${suffix}`, password: 'the administrator’s password' }

const schemas = ['core', 'cosine', 'inetorgperson', 'nis']

/** What Active Directory has of its own, as far as we ask for it, under Microsoft's numbers ([MS-ADA1] to [MS-ADSC]). */
const activeDirectorySchema = `
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP organizationalPerson STRUCTURAL
  MAY ( sAMAccountName $ objectGUID $ userAccountControl $ accountExpires ) )
objectclass ( 1.2.840.113556.1.3.30 NAME 'computer' SUP user STRUCTURAL )
`

/** A real OpenLDAP server, with TLS by a CA of its own. Dispose of it to end it. */
export class Slapd implements AsyncDisposable {
  /** Of its CA, PEM. */
  readonly ca: string
  readonly #folder: string
  readonly #root: string
  readonly #ports: { readonly plain: number; readonly tls: number }
  #process: ChildProcess | null = null

  private constructor(folder: string, root: string, ca: string, ports: { plain: number; tls: number }) {
    this.#folder = folder
    this.#root = root
    this.ca = ca
    this.#ports = ports
  }

  /** Makes a directory in `folder` with these entries (LDIF) under `suffix`. */
  static async start(folder: string, ldif: string): Promise<Slapd> {
    const root = await unpackSlapd()
    const { authority, privateKey } = await CertificateAuthority.create('Directory CA', 2, () => new Date())
    privateKey[Symbol.dispose]()
    using server = await authority.issue({ commonName: 'slapd', usages: ['server'], hosts: [host], validDays: 1 })
    mkdirSync(join(folder, 'db'), { recursive: true })
    writeFileSync(join(folder, 'ca.pem'), authority.certificate)
    writeFileSync(join(folder, 'server.pem'), server.certificate)
    server.privateKey.expose((key) => writeFileSync(join(folder, 'server.key'), key, { mode: 0o600 }))
    writeFileSync(join(folder, 'slapd.conf'), configuration(folder, root), { mode: 0o600 })
    writeFileSync(join(folder, 'entries.ldif'), ldif)
    const slapd = new Slapd(folder, root, authority.certificate, { plain: await freePort(), tls: await freePort() })
    await slapd.#add()
    await slapd.restart()
    return slapd
  }

  /** Plain, or with StartTLS. */
  get plainUrl(): string {
    return `ldap://${host}:${this.#ports.plain}`
  }

  get tlsUrl(): string {
    return `ldaps://${host}:${this.#ports.tls}`
  }

  /** Starts it where it stands. */
  async restart(): Promise<void> {
    const { plain, tls } = this.#ports
    const child = spawn(
      join(this.#root, 'usr/sbin/slapd'),
      ['-f', join(this.#folder, 'slapd.conf'), '-h', `ldap://${host}:${plain} ldaps://${host}:${tls}`, '-d', '0'],
      { env: this.#environment(), stdio: ['ignore', 'ignore', 'pipe'] },
    )
    child.stderr.pipe(createWriteStream(join(this.#folder, 'log')))
    this.#process = child
    const deadline = Date.now() + answersWithinMs
    while (child.exitCode === null && Date.now() < deadline) {
      if ((await answers(plain)) && (await answers(tls))) return
      await sleep(pollMs)
    }
    await this.stop()
    throw new Error(`slapd does not start: ${readFileSync(join(this.#folder, 'log'), 'utf8')}`)
  }

  /** Ends it at once; connections break. */
  async stop(): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** Lets it answer nothing, or answer again; connections stay. A thread that runs stops a moment after the signal, so that is waited for. */
  async pause(isPaused: boolean): Promise<void> {
    this.#process?.kill(isPaused ? 'SIGSTOP' : 'SIGCONT')
    const tasks = `/proc/${this.#process?.pid}/task`
    while (isPaused && readdirSync(tasks).some((id) => !isStopped(`${tasks}/${id}/stat`))) await sleep(1)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #add(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    execFile(
      join(this.#root, 'usr/sbin/slapd'),
      ['-T', 'add', '-q', '-f', join(this.#folder, 'slapd.conf'), '-l', join(this.#folder, 'entries.ldif')],
      { env: this.#environment() },
      (error, _stdout, stderr) => (error === null ? resolve() : reject(new Error(`slapadd: ${stderr}`))),
    )
    await promise
  }

  #environment(): NodeJS.ProcessEnv {
    return { LD_LIBRARY_PATH: libraryFolders(this.#root).join(':'), PATH: process.env['PATH'] }
  }
}

const libraryFolders = (root: string) =>
  ['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((machine) => [
    join(root, 'usr/lib', machine),
    join(root, 'lib', machine),
  ])

const configuration = (folder: string, root: string) => `${schemas
  .map((name) => `include ${root}/etc/ldap/schema/${name}.schema\n`)
  .join('')}${activeDirectorySchema}
modulepath ${root}/usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile ${folder}/pid
argsfile ${folder}/args
TLSCACertificateFile ${folder}/ca.pem
TLSCertificateFile ${folder}/server.pem
TLSCertificateKeyFile ${folder}/server.key
database mdb
suffix "${suffix}"
rootdn "${slapdAdmin.dn}"
rootpw "${slapdAdmin.password}"
directory ${folder}/db
dbnosync
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=hidden,${suffix}" by * none
access to * by dn.exact="cn=reader,${suffix}" read by * none
`

async function answers(port: number): Promise<boolean> {
  const socket = connect({ host, port })
  const isUp = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isUp
}

/** The state stands behind the name, which may have anything in it (proc(5)). */
function isStopped(path: string): boolean {
  const stat = readFileSync(path, 'latin1')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
}
