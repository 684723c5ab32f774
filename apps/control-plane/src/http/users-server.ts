import * as api from '@cryptvisor/control-plane-api'
import { buildServer, type RestServer, type TlsIdentity } from '@cryptvisor/rest'
import type { FastifyBaseLogger } from 'fastify'
import type { TSchema } from 'typebox'
import type { Platform } from '../app/platform.ts'
import { ErrorAnswer, guardRoutes } from './access.ts'
import { accessRoutes } from './access-routes.ts'
import { alarmRoutes } from './alarm-routes.ts'
import { auditRoutes } from './audit-routes.ts'
import { certificateRoutes } from './certificate-routes.ts'
import { toRestError } from './error-table.ts'
import { eventRoutes } from './event-routes.ts'
import { folderRoutes } from './folder-routes.ts'
import { healthRoutes } from './health-routes.ts'
import { identitySourceRoutes } from './identity-source-routes.ts'
import { inventoryRoutes } from './inventory-routes.ts'
import { keyProviderRoutes } from './key-provider-routes.ts'
import { measureRequests, metricsRoutes } from './metrics-routes.ts'
import { nativeProviderRoutes } from './native-provider-routes.ts'
import { notificationRoutes } from './notification-routes.ts'
import { permissionRoutes } from './permission-routes.ts'
import { policyRoutes } from './policy-routes.ts'
import { providerTrustRoutes } from './provider-trust-routes.ts'
import { guardRepeats } from './repeated-requests.ts'
import { reportRoutes } from './report-routes.ts'
import { auditRequests } from './request-audit.ts'
import { logRequests } from './request-log.ts'
import type { Routes } from './routes.ts'
import { secondFactorRoutes } from './second-factor-routes.ts'
import { type ConnectionLimits, limitClients } from './slow-clients.ts'
import { systemBundleRoutes } from './system-bundle-routes.ts'
import { systemRoutes } from './system-routes.ts'

/** Of users, their tools and their browsers. */
const connectionLimits: ConnectionLimits = { connectionsMax: 4000, connectionsPerAddressMax: 400 }

/** Builds the server for users: REST over TLS, bearer tokens, every route with its privileges. `work` adds its own. */
export async function buildUsersServer(
  platform: Platform,
  work: Routes,
  tls: TlsIdentity,
  version: string,
  logger?: FastifyBaseLogger,
): Promise<RestServer> {
  const server = await buildServer({
    title: 'Cryptvisor control plane',
    description: 'Inventory, storage policies, key providers, tasks and events. Keys are named here and never shown.',
    version,
    tls,
    mapError: toRestError,
    bearer: true,
    schemas: { ...namedSchemas(), Error: ErrorAnswer },
    ...(logger === undefined ? {} : { logger }),
  })
  limitClients(server, connectionLimits)
  const callerOf = guardRoutes(server, platform.bearers, platform.objects)
  guardRepeats(server, platform.database, platform.requestKeys)
  auditRequests(server, platform.audit, platform.origins, callerOf, platform.clock)
  logRequests(server)
  measureRequests(server, platform)
  server.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff')
  })
  for (const addRoutes of [
    healthRoutes(platform),
    accessRoutes(platform),
    secondFactorRoutes(platform),
    identitySourceRoutes(platform),
    inventoryRoutes(platform),
    certificateRoutes(platform),
    policyRoutes(platform),
    folderRoutes(platform),
    permissionRoutes(platform),
    keyProviderRoutes(platform),
    nativeProviderRoutes(platform),
    providerTrustRoutes(platform),
    eventRoutes(platform),
    reportRoutes(platform),
    systemRoutes(platform),
    systemBundleRoutes(platform),
    metricsRoutes(platform),
    auditRoutes(platform),
    alarmRoutes(platform),
    notificationRoutes(platform),
    work,
  ]) {
    addRoutes(server)
  }
  return server
}

/** The resources of the API, under the names that they are exported with. */
function namedSchemas(): Record<string, TSchema> {
  return Object.fromEntries(
    Object.entries(api).filter((entry): entry is [string, TSchema & (typeof entry)[1]] => isObjectSchema(entry[1])),
  )
}

function isObjectSchema(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'object'
}
