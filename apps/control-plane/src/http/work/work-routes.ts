import type { RestServer } from '@cryptvisor/rest'
import type { Work } from '../../app/work/work.ts'
import { approvalRoutes } from './approval-routes.ts'
import { campaignRoutes, providerMigrationRoutes } from './campaign-routes.ts'
import { diskRoutes } from './disk-routes.ts'
import { erasureRoutes } from './erasure-routes.ts'
import { hostBundleRoutes } from './host-bundle-routes.ts'
import { hostCryptoRoutes } from './host-crypto-routes.ts'
import { hostDumpRoutes } from './host-dump-routes.ts'
import { keyHealthRoutes } from './key-health-routes.ts'
import { keyLifeRoutes } from './key-life-routes.ts'
import { keyPersistenceRoutes } from './key-persistence-routes.ts'
import { keyRoutes } from './key-routes.ts'
import { keyTypeRoutes } from './key-type-routes.ts'
import { policyWorkRoutes } from './policy-work-routes.ts'
import { powerRoutes } from './power-routes.ts'
import { registrationRoutes } from './registration-routes.ts'
import { taskRoutes } from './task-routes.ts'
import { vmRoutes } from './vm-routes.ts'

/** Adds the routes of the work to the server for users: VMs, disks, tasks, keys. */
export function workRoutes(server: RestServer, work: Work): void {
  for (const routes of [
    vmRoutes(work),
    powerRoutes(work),
    diskRoutes(work),
    policyWorkRoutes(work),
    taskRoutes(work),
    keyRoutes(work),
    keyHealthRoutes(work),
    hostCryptoRoutes(work),
    hostDumpRoutes(work.dumps),
    keyPersistenceRoutes(work.persistences),
    hostBundleRoutes(work.bundles),
    keyTypeRoutes(work),
    keyLifeRoutes(work.keyLives),
    approvalRoutes(work.keyLives.approvals),
    registrationRoutes(work),
    campaignRoutes(work.campaigns),
    erasureRoutes(work.erasures),
    providerMigrationRoutes(work),
  ]) {
    routes(server)
  }
}
