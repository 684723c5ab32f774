import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { NodeStorage } from '@cryptvisor/storage'
import { temporaryFolder } from '@cryptvisor/testkit'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { Datastores } from './datastores.ts'
import { Folder } from './folder.ts'

const storage = new NodeStorage(descriptorTools)

const still = async () => {}

async function open(path: string): Promise<Folder> {
  const folder = await Folder.open(storage, path, still)
  assert.ok(folder !== null)
  return folder
}

test('a file is written whole, read back and removed', async (context) => {
  await using folder = await open(temporaryFolder(context))
  await folder.write('a.json', Buffer.from('one'))
  await folder.write('a.json', Buffer.from('two'))
  assert.equal((await folder.read('a.json', 10))?.toString(), 'two')
  assert.equal((await folder.readBack('a.json', 10))?.toString(), 'two')
  assert.deepEqual(await folder.names(), ['a.json'])
  assert.equal(await folder.remove('a.json'), true)
  assert.equal(await folder.remove('a.json'), false)
  assert.equal(await folder.read('a.json', 10), null)
})

test('a link is not followed, nor a file taken that is larger than it may be', async (context) => {
  const root = temporaryFolder(context)
  mkdirSync(join(root, 'vm'))
  mkdirSync(join(root, 'elsewhere'))
  writeFileSync(join(root, 'elsewhere', 'secret'), 'not ours')
  symlinkSync(join(root, 'elsewhere'), join(root, 'link'))
  symlinkSync(join(root, 'elsewhere', 'secret'), join(root, 'vm', 'vm.json'))
  writeFileSync(join(root, 'vm', 'large'), 'larger than ten bytes')
  await using datastore = await open(root)
  await assert.rejects(datastore.folder('link'), { code: 'datastore-mismatch' })
  await assert.rejects(datastore.folder('vm/vm.json'), { code: 'internal' })
  await using folder = await datastore.folder('vm')
  assert.ok(folder !== null)
  await assert.rejects(folder.read('vm.json', 100), { code: 'datastore-mismatch' })
  await assert.rejects(folder.read('large', 10), { code: 'datastore-mismatch' })
  await folder.write('vm.json', Buffer.from('ours'))
  assert.equal(readFileSync(join(root, 'elsewhere', 'secret'), 'utf8'), 'not ours')
  for (const name of ['..', '.hidden', 'a/b', '', 'x'.repeat(200), 'a\0b']) {
    assert.throws(() => folder.place(name), { code: 'internal' }, name)
  }
})

test('a folder stays the one that was opened, whatever its path becomes', async (context) => {
  const root = temporaryFolder(context)
  mkdirSync(join(root, 'vm'))
  mkdirSync(join(root, 'etc'))
  await using datastore = await open(root)
  await using folder = await datastore.folder('vm')
  assert.ok(folder !== null)
  renameSync(join(root, 'vm'), join(root, 'moved'))
  symlinkSync(join(root, 'etc'), join(root, 'vm'))
  await folder.write('vm.json', Buffer.from('here'))
  assert.equal(readFileSync(join(root, 'moved', 'vm.json'), 'utf8'), 'here')
})

test('a datastore is an absolute path below the roots, by its real place', async (context) => {
  const root = temporaryFolder(context)
  for (const name of ['stores', 'stores/one', 'other']) mkdirSync(join(root, name))
  symlinkSync(join(root, 'other'), join(root, 'stores', 'out'))
  symlinkSync(join(root, 'stores', 'one'), join(root, 'in'))
  const datastores = new Datastores(storage, [join(root, 'stores')])
  for (const path of [join(root, 'stores', 'one'), join(root, 'in')]) {
    await using datastore = await datastores.open({ datastorePath: path })
    assert.equal(datastore.path, path)
  }
  const refused = [join(root, 'other'), join(root, 'stores', 'out'), root, 'stores/one', `${root}/stores/../other`]
  for (const datastorePath of refused) {
    await assert.rejects(datastores.open({ datastorePath }), { code: 'refused' }, datastorePath)
  }
  await assert.rejects(datastores.open({ datastorePath: join(root, 'stores', 'gone') }), { code: 'datastore-mismatch' })
})

test('a folder that was closed reaches nothing any more', async (context) => {
  const folder = await open(temporaryFolder(context))
  await folder[Symbol.asyncDispose]()
  await assert.rejects(folder.place('vm.json').open('read'), { code: 'EBADF' })
  await assert.rejects(folder.names(), { code: 'io', message: /EBADF/ })
})
