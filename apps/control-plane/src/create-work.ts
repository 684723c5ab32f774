import { Work } from './app/work/work.ts'
import { workRoutes } from './http/work/work-routes.ts'
import type { WorkPart, WorkParts } from './service.ts'

/** Builds the work half on the platform, with its routes. It does nothing before it is started. */
export function createWork({ platform, ...parts }: WorkParts): WorkPart {
  const { audit, events, keyProviders, sessions: hostConnections, certificates: signer } = platform
  const work = new Work({ ...parts, audit, events, keyProviders, hostConnections, signer })
  return { work, routes: (server) => workRoutes(server, work) }
}
