import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { Secret } from '@cryptvisor/secret'
import { type LoggedIn, logIn } from './control-plane.ts'
import type { LabDescription } from './description.ts'
import { endMachinesBelow } from './machines.ts'
import {
  clusterName,
  datastoreName,
  hostNames,
  providerName,
  type ServiceName,
  serviceNames,
  userName,
} from './names.ts'
import { type Places, placesIn } from './places.ts'
import { runProgram } from './program.ts'
import { Service } from './service.ts'

const loopback = '127.0.0.1'
const connectedWithinMs = 30_000
const pollMs = 100

/** What a running control plane and a running key server said when they were ready. */
interface Ready {
  readonly keyServer: {
    readonly kmip: { readonly host: string; readonly port: number }
    readonly admin: { readonly url: string }
  }
  readonly controlPlane: { readonly url: string }
}

/** A key server, a control plane and two hosts in one cluster, on this machine, with all their data in one folder. */
export class Lab {
  readonly places: Places
  readonly #say: (text: string) => void

  /** `say` hears what is going on. */
  constructor(folder: string, say: (text: string) => void = () => {}) {
    this.places = placesIn(resolve(folder))
    this.#say = say
  }

  /** The lab's description as it was written last; `null` when there is no lab in the folder. */
  describe(): LabDescription | null {
    if (!existsSync(this.places.description)) return null
    // We wrote it ourselves.
    return JSON.parse(readFileSync(this.places.description, 'utf8')) as LabDescription
  }

  service(name: ServiceName): Service {
    return new Service(name, this.places)
  }

  /** Starts what is not running, sets up what is not set up, and waits until all answer. May be called again at will. */
  async up(): Promise<LabDescription> {
    this.#makeFolders()
    const keyServer = await this.#startKeyServer()
    const controlPlane = await this.#startControlPlane()
    const ready: Ready = { keyServer, controlPlane }
    await using session = await this.#logIn(controlPlane.url)
    await this.#setUpInventory(session.client)
    for (const name of hostNames) await this.#startHost(session.client, name)
    await this.#trustKeyServer(session.client, ready)
    await waitUntilConnected(session.client)
    return this.#writeDescription(ready)
  }

  /** Stops everything that runs; the data stays. */
  async down(): Promise<void> {
    for (const name of serviceNames.toReversed()) await this.stop(name)
    this.endMachines()
  }

  /** Ends the VMs that run: an agent that stops leaves them. */
  protected endMachines(): void {
    for (const name of hostNames) endMachinesBelow(join(realpathSync(this.places.folder), name, 'run'))
  }

  async stop(name: ServiceName, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const service = this.service(name)
    if (service.pid !== null) this.#say(`stopping ${name}`)
    await service.stop(signal)
    this.#refreshDescription()
  }

  /** Starts one service of a lab that is set up. */
  async start(name: ServiceName): Promise<void> {
    if (this.describe() === null)
      throw new Error(`there is no lab in ${this.places.folder}; run: ./run lab up --dir DIR`)
    this.#say(`starting ${name}`)
    await this.service(name).start()
    this.#refreshDescription()
  }

  /** A client of the control plane, logged in as the administrator. */
  async logIn(): Promise<LoggedIn> {
    const description = this.describe()
    if (description === null) throw new Error(`there is no lab in ${this.places.folder}`)
    return this.#logIn(description.controlPlane.url)
  }

  #makeFolders(): void {
    const { places } = this
    for (const folder of [
      places.folder,
      places.datastore,
      places.rootKeys,
      places.runs,
      places.logs,
      dirname(places.client),
      dirname(places.password),
    ]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
    }
  }

  async #startKeyServer(): Promise<Ready['keyServer']> {
    const { places } = this
    const data = places.data('key-server')
    if (!existsSync(join(data, 'config.json'))) {
      this.#say('setting the key server up')
      await runProgram('key-server', [
        'init',
        '--dir',
        data,
        '--root-key-file',
        join(places.rootKeys, 'key-server.key'),
        '--host-name',
        loopback,
      ])
    }
    for (const [name, folder] of [
      ['lab', places.client],
      ['control-plane', places.controlPlane],
    ] as const) {
      if (existsSync(join(folder, 'client.key'))) continue
      await runProgram('key-server', ['issue-client', '--dir', data, name, '--out', folder])
    }
    // The key server's ready line has these members.
    return (await this.service('key-server').start()) as unknown as Ready['keyServer']
  }

  async #startControlPlane(): Promise<Ready['controlPlane']> {
    const { places } = this
    const data = places.data('control-plane')
    if (!existsSync(places.password)) {
      writeFileSync(places.password, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 })
    }
    if (!existsSync(join(data, 'config.json'))) {
      this.#say('setting the control plane up')
      await runProgram(
        'control-plane',
        [
          'init',
          '--dir',
          data,
          '--root-key-file',
          join(places.rootKeys, 'control-plane.key'),
          '--host',
          loopback,
          '--admin-user',
          userName,
        ],
        `${this.#password()}\n`,
      )
    }
    // The control plane's ready line has this member.
    return (await this.service('control-plane').start()) as unknown as Ready['controlPlane']
  }

  async #setUpInventory(client: ControlPlaneClient): Promise<void> {
    const { clusters } = await client.clusters()
    if (!clusters.some(({ name }) => name === clusterName)) await client.createCluster({ name: clusterName })
    const { datastores } = await client.datastores()
    if (!datastores.some(({ name }) => name === datastoreName)) {
      await client.createDatastore({ name: datastoreName, cluster: clusterName, path: this.places.datastore })
    }
  }

  async #startHost(client: ControlPlaneClient, name: (typeof hostNames)[number]): Promise<void> {
    const data = this.places.data(name)
    if (!existsSync(join(data, 'config.json'))) {
      this.#say(`enrolling ${name}`)
      const { token } = await client.createEnrolmentToken({ name, cluster: clusterName })
      await runProgram(
        'host-agent',
        ['enroll', '--dir', data, '--url-host', loopback, '--hardware-uuid', 'new'],
        `${token}\n`,
      )
      emulateGuests(data)
    }
    await this.service(name).start()
  }

  async #trustKeyServer(client: ControlPlaneClient, { keyServer }: Ready): Promise<void> {
    const { providers } = await client.keyProviders()
    if (providers.some(({ name }) => name === providerName)) return
    const { controlPlane } = this.places
    using clientKey = Secret.from(readFileSync(join(controlPlane, 'client.key')))
    await client.uploadClientKey(providerName, clientKey)
    await client.addKeyProvider({
      name: providerName,
      servers: [{ host: keyServer.kmip.host, port: keyServer.kmip.port }],
      serverCa: readFileSync(join(controlPlane, 'ca.pem'), 'utf8'),
      clientCertificate: readFileSync(join(controlPlane, 'client.pem'), 'utf8'),
      makeDefault: true,
    })
    const status = await client.keyProviderStatus(providerName)
    if (status.health === 'red') throw new Error(`the control plane cannot use the key server: ${status.text}`)
  }

  #password(): string {
    return readFileSync(this.places.password, 'utf8').trim()
  }

  #logIn(url: string): Promise<LoggedIn> {
    return logIn(url, join(this.places.data('control-plane'), 'ca.pem'), userName, this.#password())
  }

  #writeDescription({ keyServer, controlPlane }: Ready): LabDescription {
    const { places } = this
    const data = places.data('key-server')
    return this.#save({
      keyServer: {
        host: keyServer.kmip.host,
        port: keyServer.kmip.port,
        ca: join(places.client, 'ca.pem'),
        clientCert: join(places.client, 'client.pem'),
        clientKey: join(places.client, 'client.key'),
        controlPlaneCert: join(places.controlPlane, 'client.pem'),
        controlPlaneKey: join(places.controlPlane, 'client.key'),
        adminUrl: keyServer.admin.url,
        adminCert: join(data, 'admin.pem'),
        adminKey: join(data, 'admin.key'),
      },
      controlPlane: {
        url: controlPlane.url,
        ca: join(places.data('control-plane'), 'ca.pem'),
        user: userName,
        password: this.#password(),
      },
      hosts: hostNames.map((name) => ({ name, url: agentUrl(places, name), pid: null })),
      datastore: places.datastore,
      pids: { keyServer: null, controlPlane: null, hosts: {} },
    })
  }

  #refreshDescription(): void {
    const description = this.describe()
    if (description !== null) this.#save(description)
  }

  /** Writes the description with the processes that run now. */
  #save(description: LabDescription): LabDescription {
    const pidOf = (name: ServiceName) => this.service(name).pid
    const current: LabDescription = {
      ...description,
      hosts: hostNames.map((name) => ({ name, url: agentUrl(this.places, name), pid: pidOf(name) })),
      pids: {
        keyServer: pidOf('key-server'),
        controlPlane: pidOf('control-plane'),
        hosts: Object.fromEntries(hostNames.map((name) => [name, pidOf(name)])),
      },
    }
    const temporary = `${this.places.description}.new`
    rmSync(temporary, { force: true })
    writeFileSync(temporary, `${JSON.stringify(current, null, 2)}\n`, { mode: 0o600 })
    renameSync(temporary, this.places.description)
    return current
  }
}

/** KVM may be there, work by halves, and be slower than none. */
function emulateGuests(data: string): void {
  const path = join(data, 'config.json')
  const config = JSON.parse(readFileSync(path, 'utf8')) as object
  writeFileSync(path, `${JSON.stringify({ ...config, acceleration: 'tcg' }, null, 2)}\n`, { mode: 0o600 })
}

/** The address that an agent keeps in its configuration. */
function agentUrl(places: Places, name: string): string {
  const config = JSON.parse(readFileSync(join(places.data(name), 'config.json'), 'utf8')) as { url: string }
  return config.url
}

async function waitUntilConnected(client: ControlPlaneClient): Promise<void> {
  const deadline = Date.now() + connectedWithinMs
  for (;;) {
    const { hosts } = await client.hosts()
    const missing = hostNames.filter(
      (name) => !hosts.some((host) => host.name === name && host.connection === 'connected'),
    )
    if (missing.length === 0) return
    if (Date.now() > deadline) throw new Error(`${missing.join(' and ')} did not connect in time`)
    await sleep(pollMs)
  }
}
