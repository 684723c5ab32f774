import type { Barrier } from '@cryptvisor/key-store'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import { EventLog } from '../events.ts'
import { AuditSigner } from './audit-signer.ts'
import { AuditTrail } from './audit-trail.ts'

/** Events that are in the audit, for commands that run without the service. */
export async function auditedEvents(database: Kysely<Schema>, barrier: Barrier, clock: Clock): Promise<EventLog> {
  const signer = await AuditSigner.open(database, barrier)
  return new EventLog(database, clock, [new AuditTrail(database, signer, clock)])
}
