import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exerciseObjectStore, MemoryObjectStore } from './index.ts'

test('MemoryObjectStore is an ObjectStore', async () => {
  await exerciseObjectStore(new MemoryObjectStore())
})

test('the exercise finds a store that does not roll back', async () => {
  class Careless extends MemoryObjectStore {
    override transaction<Result>(run: Parameters<MemoryObjectStore['transaction']>[0]): Promise<Result> {
      let failure: { error: unknown } | null = null
      return super
        .transaction(async (transaction) => {
          try {
            return await run(transaction)
          } catch (error) {
            failure = { error }
            return undefined
          }
        })
        .then((result) => {
          if (failure !== null) throw failure.error
          return result as Result
        })
    }
  }
  await assert.rejects(exerciseObjectStore(new Careless()), { name: 'AssertionError' })
})
