import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { Clock } from '../app/clock.ts'
import type { EventLog } from '../app/events.ts'
import { SecondFactors } from '../app/second-factor/second-factors.ts'
import type { Schema } from '../database/schema.ts'

/** Second factors under a barrier of their own. */
export async function testSecondFactors(
  database: Kysely<Schema>,
  events: EventLog,
  clock: Clock,
): Promise<SecondFactors> {
  using rootKey = Secret.random(32)
  return new SecondFactors(database, events, await Barrier.initialize(new MemoryPhysical(), rootKey), clock)
}
