import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClient } from '@cryptvisor/rest'
import { temporaryFolder } from '@cryptvisor/testkit'
import { pino } from 'pino'
import { providersOf, Sessions, shortTimings, testSigner } from '../app/work/testing/control-plane-process.ts'
import { Faults } from '../app/work/testing/faults.ts'
import { fillInventory } from '../app/work/testing/inventory.ts'
import { MemoryKms } from '../app/work/testing/memory-kms.ts'
import { SimulatedAgent } from '../app/work/testing/simulated-agent.ts'
import { SimulatedDatastore } from '../app/work/testing/simulated-datastore.ts'
import { Work } from '../app/work/work.ts'
import { openControlPlaneDatabase } from '../database/open.ts'
import { workRoutes } from '../http/work/work-routes.ts'
import { initialize } from '../initialize.ts'
import { placesIn } from '../places.ts'
import { startService } from '../service.ts'

/** Of the administrator, and of all users that a test makes. */
export const password = 'correct horse battery staple'

/** The real server for users over TLS, with the real work on one simulated host; and a client per user. */
export async function startWorkServer(context: TestContext) {
  const folder = join(temporaryFolder(context), 'data')
  const rootKeyFile = join(folder, '..', 'root.key')
  await initialize({ folder, rootKeyFile, adminUser: 'admin', adminPassword: password, host: '127.0.0.1' }, Date.now)
  const database = await openControlPlaneDatabase(placesIn(folder).database)
  await fillInventory(database)
  const host = await database.selectFrom('host').selectAll().where('id', '=', 'host-a').executeTakeFirstOrThrow()
  await database.destroy()

  const faults = new Faults()
  const kms = new MemoryKms('vault')
  const sessions = new Sessions()
  const agent = new SimulatedAgent('host-a', new SimulatedDatastore())
  const { bootId, cryptoSupported } = agent
  const connection = { hostId: host.id, bootId, cryptoSupported, client: agent.client(faults) }
  sessions.begin(connection)
  const service = await startService({
    folder,
    version: '1.2.3',
    clock: Date.now,
    log: pino({ level: 'silent' }),
    createWork: ({ platform: { audit, events }, ...parts }) => {
      const keyProviders = providersOf(new Map([['vault', kms]]), faults)
      const work = new Work({
        ...parts,
        audit,
        events,
        keyProviders,
        hostConnections: sessions,
        signer: testSigner(),
        timings: shortTimings,
      })
      return { work, routes: (server) => workRoutes(server, work) }
    },
  })
  const ca = readFileSync(join(folder, 'ca.pem'), 'utf8')
  const rests: RestClient[] = []
  const rest = (bearerToken?: string) => {
    const client = new RestClient({
      url: service.url,
      ca,
      ...(bearerToken === undefined ? {} : { bearerToken }),
    })
    rests.push(client)
    return client
  }
  context.after(async () => {
    for (const client of rests) await client[Symbol.asyncDispose]()
    await service.close()
  })
  const logIn = async (user: string) => {
    const { token } = await new ControlPlaneClient(rest()).login({ user, password })
    const client = rest(token)
    return { api: new ControlPlaneClient(client), rest: client }
  }
  return {
    kms,
    url: service.url,
    ca,
    logIn,
    admin: await logIn('admin'),
    /** Does something to the database behind the control plane's back. */
    withDatabase: async (use: (open: typeof database) => Promise<void>) => {
      const open = await openControlPlaneDatabase(placesIn(folder).database)
      try {
        await use(open)
      } finally {
        await open.destroy()
      }
    },
  }
}
