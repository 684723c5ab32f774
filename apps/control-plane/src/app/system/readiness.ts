import type { ReadinessCheck } from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { type Kysely, sql } from 'kysely'
import type { Schema } from '../../database/schema.ts'

/** What the readiness of a control plane depends on. */
export interface ReadinessParts {
  readonly database: Kysely<Schema>
  readonly barrier: Barrier
  /** Whether what an earlier run left was taken up. */
  readonly isStarted: () => boolean
  /** Names of the hosts that met a newer control plane of this installation. */
  readonly supersededBy: () => readonly string[]
}

/** Says whether a control plane can do its work, and what keeps it. */
export class Readiness {
  readonly #parts: ReadinessParts

  constructor(parts: ReadinessParts) {
    this.#parts = parts
  }

  /** Every check, in order. Never throws. */
  async checks(): Promise<ReadinessCheck[]> {
    const { database, barrier, isStarted, supersededBy } = this.#parts
    const hosts = supersededBy()
    return [
      await check('database', 'the database does not answer: look at the disk that it lies on, and at the log', () =>
        sql`select 1`.execute(database),
      ),
      await check('barrier', 'sealed values do not open: was the root key changed?', async () => {
        using probe = Secret.random(16)
        using opened = barrier.unseal({ type: 'readiness' }, barrier.seal({ type: 'readiness' }, probe))
        if (!opened.equal(probe)) throw new Error('a sealed value came back as another one')
      }),
      { name: 'work', ok: isStarted(), text: isStarted() ? null : 'tasks of the run before are being taken up: wait' },
      {
        name: 'epoch',
        ok: hosts.length === 0,
        text:
          hosts.length === 0
            ? null
            : `${hosts.join(', ')} met a newer control plane of this installation: this one was replaced by a restore. Stop it`,
      },
    ]
  }
}

async function check(name: string, text: string, look: () => Promise<unknown>): Promise<ReadinessCheck> {
  try {
    await look()
    return { name, ok: true, text: null }
  } catch {
    return { name, ok: false, text }
  }
}
