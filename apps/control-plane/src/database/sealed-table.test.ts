import { test } from 'node:test'
import { exercisePhysical } from '@cryptvisor/key-store'
import { openControlPlaneDatabase } from './open.ts'
import { SealedTable } from './sealed-table.ts'

test('the table `sealed` is a storage for a key store', async () => {
  const database = await openControlPlaneDatabase(':memory:')
  try {
    await exercisePhysical(new SealedTable(database))
  } finally {
    await database.destroy()
  }
})
