import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { type ClientOptions, RestClient } from '@cryptvisor/rest'
import { LogRing } from '@cryptvisor/support-bundle'
import type { Kysely } from 'kysely'
import { takeOut } from '../app/work/hosts/host-removal.ts'
import { openControlPlaneDatabase } from '../database/open.ts'
import type { Schema } from '../database/schema.ts'
import { initialize } from '../initialize.ts'
import { createLog } from '../log.ts'
import { placesIn } from '../places.ts'
import { type Service, type ServiceOptions, startService } from '../service.ts'
import { TestWork } from './test-work.ts'

/** A control plane with both its servers, in a folder of its own. */
export interface Bench {
  readonly folder: string
  readonly rootKeyFile: string
  readonly ca: string
  readonly service: Service
  readonly work: TestWork
  /** Everything that was logged, as it was written. */
  logged(): string
  /** What its support bundles have of the log. */
  readonly logRing: LogRing
  /** A client of one of the servers, closed when the test is over. */
  rest(options?: Partial<ClientOptions>): RestClient
  /** A client of the server for users, with this token or nobody's. */
  client(bearerToken?: string): ControlPlaneClient
  /** Logs in: as the administrator, unless another user is named. */
  logIn(user?: string): Promise<ControlPlaneClient>
  /** Does something to the database behind the control plane's back. */
  withDatabase<Result>(use: (database: Kysely<Schema>) => Promise<Result>): Promise<Result>
  /** Lets its clock go forward. */
  pass(ms: number): void
  /** Stops the control plane and starts it again from its folder. */
  restart(): Promise<void>
}

/** Of the administrator, and of all users that a test makes. */
export const password = 'correct horse battery staple'

/** Starts a bench that ends with the test; with the work half where `createWork` builds it. */
export async function startBench(context: TestContext, createWork?: ServiceOptions['createWork']): Promise<Bench> {
  const root = mkdtempSync(join(tmpdir(), 'cryptvisor-test-'))
  const folder = join(root, 'data')
  const rootKeyFile = join(root, 'keys', 'root.key')
  const lines: string[] = []
  const logRing = new LogRing()
  const log = createLog('debug', {
    write: (line) => {
      lines.push(line)
      logRing.write(line)
    },
  })
  const work = new TestWork()
  let passedMs = 0
  const clock = () => Date.now() + passedMs
  const start = () =>
    startService({
      folder,
      version: '1.2.3',
      clock,
      log,
      logRing,
      createWork:
        createWork ??
        (({ platform: { events, sessions } }) => {
          work.removing = async (host, by) => {
            await events.transaction((transaction, record) => takeOut(transaction, record, host, by.name, clock()))
            sessions.end(host.id, 'it was removed')
          }
          return { work, routes: () => {} }
        }),
    })
  await initialize({ folder, rootKeyFile, adminUser: 'admin', adminPassword: password, host: '127.0.0.1' }, Date.now)
  const ca = readFileSync(join(folder, 'ca.pem'), 'utf8')
  let service = await start()
  const clients: RestClient[] = []
  context.after(async () => {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()))
    await service.close()
    rmSync(root, { recursive: true, force: true })
  })
  const rest = (options: Partial<ClientOptions> = {}) => {
    const client = new RestClient({ url: service.url, ca, ...options })
    clients.push(client)
    return client
  }
  const client = (bearerToken?: string) =>
    new ControlPlaneClient(rest(bearerToken === undefined ? {} : { bearerToken }))
  return {
    folder,
    rootKeyFile,
    ca,
    get service() {
      return service
    },
    work,
    logged: () => lines.join(''),
    logRing,
    rest,
    client,
    logIn: async (user = 'admin') => client((await client().login({ user, password })).token),
    withDatabase: async (use) => {
      const database = await openControlPlaneDatabase(placesIn(folder).database)
      try {
        return await use(database)
      } finally {
        await database.destroy()
      }
    },
    pass: (ms) => {
      passedMs += ms
    },
    restart: async () => {
      await service.close()
      service = await start()
    },
  }
}
