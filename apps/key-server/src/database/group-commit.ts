import type { ControlledTransaction, Kysely, Transaction } from 'kysely'

/** How many jobs share a commit at most. */
export const groupSizeMax = 64

type Job<Schema> = {
  /** Does the work; what to do when the commit is through, or throws. */
  readonly run: (transaction: Transaction<Schema>) => Promise<() => void>
  readonly fail: (error: unknown) => void
}

/**
 * Runs jobs that wait at the same time in one transaction, each behind a savepoint: with one connection they run one
 * after another anyway, and the commit, which waits for the disk, is shared. A job that throws undoes only itself.
 */
export class GroupCommit<Schema> {
  readonly #db: Kysely<Schema>
  #waiting: Job<Schema>[] = []
  #isRunning = false

  constructor(db: Kysely<Schema>) {
    this.#db = db
  }

  /** Resolves when what the job did is on the disk; rejects when it threw or could not be committed. */
  run<Result>(job: (transaction: Transaction<Schema>) => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        run: async (transaction) => {
          const result = await job(transaction)
          return () => resolve(result)
        },
        fail: reject,
      })
      if (!this.#isRunning) void this.#runAll()
    })
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, groupSizeMax)
      try {
        await this.#runGroup(group)
      } catch (error) {
        // A job that has its answer already does not notice.
        for (const job of group) job.fail(error)
      }
    }
    this.#isRunning = false
  }

  /** Throws when the database cannot go on; then nothing of the group is kept. */
  async #runGroup(group: readonly Job<Schema>[]): Promise<void> {
    const transaction = await this.#db.startTransaction().execute()
    const done: (() => void)[] = []
    try {
      for (const job of group) await runBehindSavepoint(transaction, job, done)
      await transaction.commit().execute()
    } catch (error) {
      if (!transaction.isCommitted && !transaction.isRolledBack) await transaction.rollback().execute()
      throw error
    }
    for (const resolve of done) resolve()
  }
}

async function runBehindSavepoint<Schema>(
  transaction: ControlledTransaction<Schema>,
  job: Job<Schema>,
  done: (() => void)[],
): Promise<void> {
  const saved = await transaction.savepoint('job').execute()
  try {
    done.push(await job.run(saved))
  } catch (error) {
    await saved.rollbackToSavepoint('job').execute()
    job.fail(error)
  }
  await saved.releaseSavepoint('job').execute()
}
