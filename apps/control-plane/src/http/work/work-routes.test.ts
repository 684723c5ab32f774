import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { encryptionPolicy, type Privilege, plainPolicy, privileges, type Task } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { pathOf, RestClientError } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { Faults } from '../../app/work/testing/faults.ts'
import { password, startWorkServer } from '../../testing/work-server.ts'

async function ended(api: ControlPlaneClient, { task }: { task: Task }): Promise<Task> {
  for (;;) {
    const now = await api.task(task.id)
    if (now.state !== 'queued' && now.state !== 'running') return now
  }
}

test('the life of a VM over HTTP', async (context) => {
  const { admin, kms } = await startWorkServer(context)
  const { api } = admin
  const created = await api.createVm({ name: 'web', host: 'host-a', disks: [{ sizeBytes: 1024 }] })
  assert.equal(created.task.type, 'vm.create')
  assert.equal((await ended(api, created)).state, 'success')

  const contentBytes = 1_048_576
  const announced = await api.importDisk('web', { format: 'raw', contentBytes })
  const content = Readable.from([Buffer.alloc(contentBytes / 2, 1), Buffer.alloc(contentBytes / 2, 2)])
  const imported = await api.sendContent(announced.task.id, content, contentBytes)
  assert.equal(imported.state, 'success')
  assert.equal((await api.disks('web')).disks[1]?.sizeBytes, contentBytes)

  assert.equal((await ended(api, await api.changePolicy('web', { policy: encryptionPolicy }))).error, null)
  assert.equal((await ended(api, await api.addDisk('web', { sizeBytes: 512 }))).error, null)
  const vm = await api.vm('web')
  assert.equal(vm.encryption, 'encrypted')
  assert.equal(vm.disks.length, 3)
  assert.deepEqual((await api.vm(vm.id)).name, 'web')
  assert.equal((await api.unlockVm('web')).lock.state, 'unlocked')

  const { keys } = await api.keys()
  const [hostKey, vmKey] = keys
  assert.deepEqual(hostKey?.usedBy, [{ kind: 'host', id: 'host-a', name: 'host-a' }])
  assert.deepEqual(vmKey?.usedBy, [{ kind: 'vm', id: vm.id, name: 'web' }])
  assert.equal(vmKey.state, 'Active')
  assert.equal(vmKey.orphan, false)
  assert.deepEqual(await api.key('vault', vmKey.keyId), vmKey)
  assert.equal((await api.keys({ provider: 'vault', offset: 1, limit: 1 })).keys[0]?.keyId, vmKey.keyId)

  assert.equal((await ended(api, await api.changePolicy('web', { policy: plainPolicy }))).error, null)
  assert.equal((await ended(api, await api.deleteVm('web'))).error, null)
  assert.deepEqual((await api.vms()).vms, [])
  assert.equal((await api.tasks({ vm: 'web' })).tasks.length, 6)
  assert.equal((await api.tasks({ state: 'success', limit: 2 })).tasks.length, 2)
  assert.equal(kms.keys.get(vmKey.keyId)?.state, 'Active')
})

test('a key that nothing knows of is an orphan, one that is gone is shown as gone', async (context) => {
  const { admin, kms } = await startWorkServer(context)
  const { api } = admin
  await ended(api, await api.createVm({ name: 'web', policy: encryptionPolicy }))
  const provider = kms.provider(new Faults())
  const stray = await provider.createKey()
  const labelled = await provider.createKey()
  await provider.labelKey(labelled, { 'x-Identifier': 'of a VM of another database' })
  assert.equal((await api.key('vault', stray)).orphan, true)
  assert.equal((await api.key('vault', labelled)).orphan, false)
  kms.keys.delete('key-2')
  const gone = await api.key('vault', 'key-2')
  assert.equal(gone.state, null)
  assert.equal(gone.usedBy[0]?.name, 'web')
  await assert.rejects(api.key('vault', 'nothing'), isAnswer(404, 'not-found'))
  await assert.rejects(api.keys({ provider: 'nowhere' }), isAnswer(404, 'not-found'))
})

/** What each route needs beside a session, and an attempt to use it. */
const routes: readonly (readonly [Privilege, (api: ControlPlaneClient) => Promise<unknown>])[] = [
  ['System.Read', (api) => api.vms()],
  ['System.Read', (api) => api.vm('web')],
  ['System.Read', (api) => api.disks('web')],
  ['System.Read', (api) => api.tasks()],
  ['System.Read', (api) => api.task('none')],
  ['VirtualMachine.Inventory.Create', (api) => api.createVm({ name: 'new' })],
  ['VirtualMachine.Inventory.Delete', (api) => api.deleteVm('web')],
  ['StorageProfile.Apply', (api) => api.changePolicy('web', { policy: encryptionPolicy })],
  ['Cryptographer.RegisterVM', (api) => api.unlockVm('web')],
  ['VirtualMachine.Config.AddNewDisk', (api) => api.addDisk('web', { sizeBytes: 512 })],
  ['VirtualMachine.Config.AddNewDisk', (api) => api.importDisk('web', { format: 'raw', contentBytes: 512 })],
  ['VirtualMachine.Config.AddNewDisk', (api) => api.sendContent('none', Readable.from([Buffer.alloc(1)]), 1)],
  ['Cryptographer.Access', (api) => api.backupHeader('web', 0)],
  ['Cryptographer.Access', (api) => api.restoreHeader('web', 0, { contentBytes: 512 })],
  ['VirtualMachine.Config.AddNewDisk', (api) => api.restoreHeader('web', 0, { contentBytes: 512 })],
  ['Global.CancelTask', (api) => api.cancelTask('none')],
  ['Cryptographer.ManageKeys', (api) => api.keys()],
  ['Cryptographer.ManageKeys', (api) => api.key('vault', 'none')],
  // These depend on what is asked for.
  ['Cryptographer.EncryptNew', (api) => api.createVm({ name: 'new', policy: encryptionPolicy })],
  ['Cryptographer.Encrypt', (api) => api.changePolicy('web', { policy: encryptionPolicy })],
  ['Cryptographer.RegisterHost', (api) => api.changePolicy('web', { policy: encryptionPolicy })],
]

test('rekey, clone, a LUKS volume, pace and export over HTTP', async (context) => {
  const { admin, kms } = await startWorkServer(context)
  const { api, rest } = admin
  await ended(api, await api.createVm({ name: 'web', policy: encryptionPolicy, disks: [{ sizeBytes: 1024 }] }))
  const succeeded = async (started: { task: Task }) => {
    const task = await ended(api, started)
    assert.equal(task.state, 'success', task.error?.message)
  }
  await succeeded(await api.rekeyVm('web', { depth: 'shallow' }))
  await succeeded(await api.cloneVm('web', { name: 'copy', keys: 'same' }))
  assert.equal((await api.vm('copy')).home.key?.keyId, (await api.vm('web')).home.key?.keyId)
  const keyCount = kms.keys.size
  await assert.rejects(api.rekeyVm('web', { depth: 'deep', disks: [9] }), { status: 404, field: 'disks.0' })
  assert.equal(kms.keys.size, keyCount)

  const { task } = await api.importVolume('web', { format: 'raw', contentBytes: 1024 })
  const path = `/api/v1/tasks/${task.id}/passphrase`
  await assert.rejects(rest.call({ method: 'PUT', path, json: 'a passphrase' }), { status: 415 })
  using long = Secret.random(8193)
  await assert.rejects(api.sendPassphrase(task.id, long), { status: 413, field: 'content-length' })
  using passphrase = Secret.random(16)
  await api.sendPassphrase(task.id, passphrase)
  const done = await api.sendContent(task.id, Readable.from([Buffer.alloc(1024)]), 1024)
  assert.equal(done.state, 'success')
  await assert.rejects(api.pauseTask(task.id), { status: 400, message: /has ended/ })
  await assert.rejects(api.limitTask(task.id, { bytesPerSecondMax: 1 }), { status: 400, field: 'bytesPerSecondMax' })

  const { stream, sizeBytes } = await api.exportDisk('web', 0, { format: 'raw' })
  assert.equal(sizeBytes, 1024)
  assert.deepEqual(await buffer(stream), Buffer.alloc(1024, 7))
  await assert.rejects(api.exportDisk('web', 9, { format: 'raw' }), { status: 404 })
  await assert.rejects(api.exportDisk('web', 64, { format: 'raw' }), { status: 400, field: 'number' })
  assert.equal((await api.events({ type: 'vm.disk-exported' })).events.length, 1)

  const backup = await buffer((await api.backupHeader('web', 0)).stream)
  const restore = await api.restoreHeader('web', 0, { contentBytes: backup.length })
  assert.equal((await api.sendContent(restore.task.id, Readable.from([backup]), backup.length)).state, 'success')
  await assert.rejects(api.restoreHeader('web', 0, { contentBytes: 2 ** 25 }), { status: 400, field: 'contentBytes' })
})

test('each route asks for its privilege', async (context) => {
  const { admin, logIn } = await startWorkServer(context)
  await ended(admin.api, await admin.api.createVm({ name: 'web' }))
  for (const [number, privilege] of [...new Set(routes.map(([needed]) => needed))].entries()) {
    const name = `all-but-${number}`
    await admin.api.createRole({ name, privileges: privileges.filter((other) => other !== privilege) })
    await admin.api.createUser({ name, password, role: name })
    const { api } = await logIn(name)
    for (const [needed, attempt] of routes) {
      if (needed === privilege) await assert.rejects(attempt(api), isAnswer(403, 'no-privilege'), `${privilege}`)
    }
  }
})

test('what an import waits for comes from whoever began it, and from nobody else', async (context) => {
  const { admin, logIn } = await startWorkServer(context)
  await ended(admin.api, await admin.api.createVm({ name: 'web' }))
  await admin.api.createUser({ name: 'other', password, role: 'Admin' })
  const { api: other } = await logIn('other')
  const { task } = await admin.api.importVolume('web', { format: 'raw', contentBytes: 512 })
  const content = () => Readable.from([Buffer.alloc(512)])
  using passphrase = Secret.random(16)
  await assert.rejects(other.sendPassphrase(task.id, passphrase), isAnswer(403, 'no-privilege'))
  await admin.api.sendPassphrase(task.id, passphrase)
  await assert.rejects(other.sendContent(task.id, content(), 512), isAnswer(403, 'no-privilege'))
  assert.equal((await admin.api.sendContent(task.id, content(), 512)).state, 'success')
})

test('wrong requests are refused by name', async (context) => {
  const { admin } = await startWorkServer(context)
  const { rest, api } = admin
  await ended(api, await api.createVm({ name: 'web' }))
  const send = (path: string, json: unknown) => rest.call({ method: 'POST', path: `/api/v1${path}`, json })
  await assert.rejects(send('/vms', { name: 'a/b' }), isAnswer(400, 'invalid-request', 'name'))
  await assert.rejects(send('/vms', { name: 'x', colour: 'red' }), isAnswer(400, 'invalid-request', 'colour'))
  await assert.rejects(send('/vms', { name: 'web' }), isAnswer(409, 'already-exists', 'name'))
  await assert.rejects(send('/vms/web/policy', { policy: 1 }), isAnswer(400, 'invalid-request', 'policy'))
  await assert.rejects(send('/vms/none/policy', { policy: plainPolicy }), isAnswer(404, 'not-found', 'vm'))
  await assert.rejects(
    send('/vms/web/policy', { disks: [{ number: 64, policy: plainPolicy }] }),
    isAnswer(400, 'invalid-request', 'disks.0.number'),
  )
  await assert.rejects(
    rest.call({ method: 'GET', path: '/api/v1/tasks', query: { state: 'sleeping' } }),
    isAnswer(400, 'invalid-request', 'state'),
  )
  const { task } = await api.importDisk('web', { format: 'raw', contentBytes: 512 })
  const path = `/api/v1${pathOf('tasks', task.id, 'content')}`
  await assert.rejects(rest.call({ method: 'PUT', path, json: {} }), isAnswer(415, 'wrong-content-type'))
  await assert.rejects(
    api.sendContent(task.id, Readable.from([Buffer.alloc(100)]), 100),
    isAnswer(400, 'invalid', 'content-length'),
  )
  await api.cancelTask(task.id)
  await ended(api, { task })
})

test('a sender that breaks off ends the import', async (context) => {
  const { admin } = await startWorkServer(context)
  const { api } = admin
  await ended(api, await api.createVm({ name: 'web' }))
  const { task } = await api.importDisk('web', { format: 'raw', contentBytes: 1_048_576 })
  const gone = new AbortController()
  const sending = api.sendContent(
    task.id,
    Readable.from(
      (async function* () {
        yield Buffer.alloc(65_536)
        while ((await api.task(task.id)).step !== 'receiving') await Promise.resolve()
        gone.abort()
        yield Buffer.alloc(65_536)
      })(),
    ),
    1_048_576,
    gone.signal,
  )
  await assert.rejects(sending)
  const { state, error } = await ended(api, { task })
  assert.equal(state, 'error')
  assert.equal(error?.code, 'invalid')
  assert.deepEqual((await api.disks('web')).disks, [])
})

test('the document that describes the API has every route of the work, with its privileges', async (context) => {
  const { admin } = await startWorkServer(context)
  interface Operation {
    readonly 'x-privileges'?: string[]
    readonly requestBody?: { readonly content: object }
  }
  const document = await admin.rest.call<{ paths: Record<string, Record<string, Operation>> }>({
    method: 'GET',
    path: '/openapi.json',
  })
  assert.deepEqual(document.paths['/api/v1/vms/{vm}/policy']?.['post']?.['x-privileges'], ['StorageProfile.Apply'])
  const content = document.paths['/api/v1/tasks/{id}/content']?.['put']?.requestBody?.content
  assert.deepEqual(Object.keys(content ?? {}), ['application/octet-stream'])
})

function isAnswer(status: number, code: string, field?: string) {
  return (error: unknown) => {
    assert.ok(error instanceof RestClientError, String(error))
    assert.deepEqual([error.status, error.answerCode, error.message], [status, code, error.message])
    if (field !== undefined) assert.equal(error.field, field)
    return true
  }
}
