import type { Barrier } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { type Kysely, sql } from 'kysely'
import { type Static, Type } from 'typebox'
import type { Schema } from '../database/schema.ts'

export const Live = Type.Object({ status: Type.Literal('ok') })

const Check = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  text: Type.String({ description: 'What is wrong, and what to do; empty: nothing' }),
})
export type ReadyCheck = Static<typeof Check>

export const Ready = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('not-ready')]),
  checks: Type.Array(Check),
})

/** Whether it is one of the addresses at which whoever supervises the key server asks. */
export const isHealth = (url: string | undefined): boolean => url === '/livez' || url === '/readyz'

/** Whether the key server can give keys: its database answers, and what is wrapped opens. A sealed one does not even start. */
export async function readyChecks(db: Kysely<Schema>, barrier: Barrier): Promise<ReadyCheck[]> {
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

async function check(name: string, problem: string, look: () => void | Promise<void>): Promise<ReadyCheck> {
  try {
    await look()
    return { name, ok: true, text: '' }
  } catch {
    return { name, ok: false, text: problem }
  }
}
