import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAccessPlane } from '../../testing/access-plane.ts'
import { folderDepthMax } from './folder-tree.ts'

test('folders lie in each other, have names of their own among siblings, and are found by path or ID', async () => {
  await using plane = await openAccessPlane()
  const { folders, admin } = plane
  const sales = await folders.create({ name: 'Sales' }, admin)
  const berlin = await folders.create({ name: 'Berlin', parent: '/Sales' }, admin)
  assert.equal(berlin.path, '/Sales/Berlin')
  await folders.create({ name: 'Berlin' }, admin)
  await assert.rejects(folders.create({ name: 'Berlin' }, admin), { code: 'already-exists', field: 'name' })
  await assert.rejects(folders.create({ name: 'x', parent: '/None' }, admin), { code: 'not-found', field: 'parent' })
  assert.equal((await folders.rename('/Sales', { name: 'Trade' }, admin)).path, '/Trade')
  assert.equal((await folders.move(berlin.id, '/Berlin', admin)).path, '/Berlin/Berlin')
  await assert.rejects(folders.move('/Berlin', '/Berlin/Berlin', admin), { code: 'invalid', message: /into itself/ })
  await assert.rejects(folders.move('/Berlin/Berlin', '/', admin), { code: 'already-exists' })
  await assert.rejects(folders.remove('/Berlin', admin), { code: 'in-use', message: /folder Berlin/ })
  await assert.rejects(folders.remove('/', admin), { code: 'invalid' })
  await folders.remove(sales.id, admin)
  assert.deepEqual(
    (await folders.list(admin)).map(({ path }) => path),
    ['/Berlin', '/Berlin/Berlin'],
  )
})

test('folders lie so deep at most, also after a move', async () => {
  await using plane = await openAccessPlane()
  const { folders, admin } = plane
  let parent = '/'
  for (let depth = 1; depth <= folderDepthMax; depth++) {
    parent = (await folders.create({ name: `${depth}`, parent }, admin)).path
  }
  await assert.rejects(folders.create({ name: 'more', parent }, admin), { code: 'invalid' })
  const other = await folders.create({ name: 'other' }, admin)
  await folders.create({ name: 'inner', parent: '/other' }, admin)
  const above = parent.slice(0, parent.lastIndexOf('/'))
  await assert.rejects(folders.move(other.id, above, admin), { code: 'invalid' })
})
