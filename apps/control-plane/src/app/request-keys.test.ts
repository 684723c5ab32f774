import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openControlPlaneDatabase } from '../database/open.ts'
import { RequestKeys } from './request-keys.ts'
import { insertTask } from './work/tasks/task-store.ts'

const request = { user: 'ada', key: 'one' }
const content = ['POST', '/api/v1/vms', '{}']

test('one that is carried out is not taken on again meanwhile', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  const keys = new RequestKeys(database, Date.now)
  assert.equal(await keys.begin(request, content), null)
  await assert.rejects(keys.begin(request, content), /being carried out/)
  assert.equal(await keys.begin({ ...request, user: 'bob' }, content), null, 'a key is its user’s')
  await keys.finish(request, 204, null)
  assert.deepEqual(await keys.begin(request, content), { kind: 'answer', status: 204, text: null })
})

test('after a crash the task that was begun is the answer; without one it is done', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  const before = new RequestKeys(database, Date.now)
  await before.begin(request, content)
  const task = await before.carryOut(request, () =>
    insertTask(database, Date.now, {
      type: 'vm.create',
      target: { kind: 'vm', id: 'v', name: 'web' },
      principal: { name: 'ada' },
      context: null,
      step: '',
      totalBytes: 0,
    }),
  )
  const other = { user: 'ada', key: 'two' }
  await before.begin(other, content)
  const after = new RequestKeys(database, Date.now)
  assert.deepEqual(await after.begin(request, content), { kind: 'task', taskId: task.id })
  assert.equal(await after.begin(other, content), null)
})
