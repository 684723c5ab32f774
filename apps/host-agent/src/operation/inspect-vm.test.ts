import assert from 'node:assert/strict'
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AgentError } from '../agent-error.ts'
import { TestHost } from '../testing/test-host.ts'
import { encryptAll } from '../testing/test-vm.ts'
import { browseDatastore, inspectVm } from './inspect-vm.ts'
import { lockStateOf } from './lock-state.ts'

test('what vm.json says is told as the control plane says it, and opens; nothing on the datastore changes', async () => {
  await using host = new TestHost()
  const vm = await host.done(encryptAll(await host.plainVm(), host.key))
  const files = host.files()
  const { datastores } = host.host()
  const found = await inspectVm(datastores, { datastorePath: vm.datastorePath, folder: vm.folder })
  assert.deepEqual(found.vm, vm)
  assert.equal((await lockStateOf(host.host(), found.vm)).state, 'unlocked')
  const { folders } = await browseDatastore(datastores, vm)
  assert.deepEqual(folders, [
    {
      folder: vm.folder,
      vm: {
        vmId: vm.vmId,
        name: vm.name,
        generation: vm.generation,
        encrypted: true,
        diskCount: vm.disks.length,
      },
      problem: null,
    },
  ])
  assert.deepEqual(host.files(), files)
})

test('links, files, foreign folders and paths out of the datastore are not followed', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const { datastores } = host.host()
  const elsewhere = join(host.root, 'elsewhere')
  cpSync(host.path('.'), elsewhere, { recursive: true })
  symlinkSync(elsewhere, join(host.datastore, 'linked'))
  mkdirSync(join(host.datastore, 'empty'))
  writeFileSync(join(host.datastore, 'file'), '')
  mkdirSync(join(host.datastore, '.hidden'))
  const look = async () => (await browseDatastore(datastores, vm)).folders.map(({ folder }) => folder)
  assert.deepEqual(await look(), [vm.folder])
  for (const folder of ['linked', 'file', 'empty', 'none']) {
    await assert.rejects(inspectVm(datastores, { datastorePath: vm.datastorePath, folder }), AgentError, folder)
  }
  for (const folder of ['..', '.', 'a/b', '../elsewhere']) {
    await assert.rejects(inspectVm(datastores, { datastorePath: vm.datastorePath, folder }), AgentError, folder)
  }
  const { datastores: rooted } = host.host(undefined, [join(host.root, 'other')])
  mkdirSync(join(host.root, 'other'))
  await assert.rejects(browseDatastore(rooted, vm), (error) => error instanceof AgentError && error.code === 'refused')
  renameSync(host.path('vm.json'), join(elsewhere, 'real.json'))
  symlinkSync(join(elsewhere, 'real.json'), host.path('vm.json'))
  const [damaged] = (await browseDatastore(datastores, vm)).folders
  assert.equal(damaged?.vm, null)
  assert.match(damaged?.problem ?? '', /link/)
})

test('a vm.json that is none is told with what is wrong; a journal that is not at its end, by its operation', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm()
  const { datastores } = host.host()
  const request = { datastorePath: vm.datastorePath, folder: vm.folder }
  writeFileSync(host.path('journal.json'), 'no journal')
  assert.equal((await inspectVm(datastores, request)).unfinishedOperation, 'unknown')
  rmSync(host.path('journal.json'))
  assert.equal((await inspectVm(datastores, request)).unfinishedOperation, null)
  for (const text of ['', '{}', '{"version":2}', 'x'.repeat(300_000)]) {
    writeFileSync(host.path('vm.json'), text)
    const [folder] = (await browseDatastore(datastores, vm)).folders
    assert.deepEqual([folder?.folder, folder?.vm], [vm.folder, null])
    assert.notEqual(folder?.problem, null)
    await assert.rejects(
      inspectVm(datastores, request),
      (error) => error instanceof AgentError && error.code === 'datastore-mismatch',
    )
  }
})
