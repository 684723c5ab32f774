import type { Barrier } from '@cryptvisor/key-store'
import type { HealthCheck } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { type Kysely, sql } from 'kysely'
import type { Schema } from '../database/schema.ts'

/** Whether the key server can give keys: its database answers, and what is wrapped opens. A sealed one does not even start. */
export async function readyChecks(db: Kysely<Schema>, barrier: Barrier): Promise<HealthCheck[]> {
  return [
    await check('database', 'the database does not answer: see the disk that it is on, and the log', async () => {
      await sql`select 1`.execute(db)
    }),
    await check('barrier', 'keys cannot be unwrapped: start the key server anew with its root key', () => {
      using probe = Secret.random(32)
      using opened = barrier.unseal({ file: 'health' }, barrier.seal({ file: 'health' }, probe))
      if (!opened.equal(probe)) throw new Error('it does not give back what it was given')
    }),
  ]
}

async function check(name: string, problem: string, look: () => void | Promise<void>): Promise<HealthCheck> {
  try {
    await look()
    return { name, ok: true, text: '' }
  } catch {
    return { name, ok: false, text: problem }
  }
}
