import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { assertWhole, stateOfKeys } from './testing/invariants.ts'
import { admin, userWithout, World } from './testing/world.ts'

test('a VM is encrypted: one KEK, labelled, on every host, and events that name it', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const started = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  assert.equal(started.type, 'vm.encrypt')
  assert.equal(started.state, 'queued')
  const task = await world.ended(started)
  assert.equal(task.state, 'success')
  assert.equal(task.progressPercent, 100)
  assert.deepEqual(task.key, { provider: 'vault', keyId: 'key-3' })

  const vm = await world.work.showVm('web')
  assert.equal(vm.encryption, 'encrypted')
  assert.deepEqual(vm.home, { policy: encryptionPolicy, encrypted: true, key: task.key })
  assert.deepEqual(vm.lock, { state: 'unlocked', cause: null, since: null, text: null, missingKeys: [] })
  for (const disk of vm.disks) {
    assert.deepEqual(disk.key, task.key)
    assert.equal(disk.path, `/srv/store/web/${disk.layerId}.luks`)
    assert.ok(disk.luksUuid)
  }

  const product = { 'x-Vendor': 'Cryptvisor', 'x-Product': 'Cryptvisor', 'x-Product_Version': '1.2.3' }
  const labels = Object.fromEntries([...world.kms.keys].map(([keyId, key]) => [keyId, key.labels]))
  const host = (name: string) => ({
    ...product,
    'x-Component': 'ESXi Server',
    'x-Name': name,
    'x-Identifier': `uuid-of-${name}`,
  })
  assert.deepEqual(labels, {
    'key-1': host('host-a'),
    'key-2': host('host-b'),
    'key-3': { ...product, 'x-Component': 'Virtual Machine', 'x-Name': 'web', 'x-Identifier': vm.id },
  })
  assert.deepEqual(stateOfKeys(world.kms), ['key-1 Active', 'key-2 Active', 'key-3 Active'])
  assert.equal(world.kms.gets.get('key-3'), 1, 'fetched once for all hosts')
  assert.deepEqual([...world.hostA.keys.keys()], ['vault/key-1', 'vault/key-3'])
  assert.deepEqual([...world.hostB.keys.keys()], ['vault/key-2', 'vault/key-3'])
  assert.equal(world.hostA.hostKey, 'vault/key-1')

  assert.deepEqual(
    (await world.events()).slice(1).map(({ type, host, vm, keyId }) => [type, host, vm, keyId]),
    [
      ['kms.crypto.key-created', 'host-a', 'web', 'key-1'],
      ['host.crypto.enabled', 'host-a', 'web', 'key-1'],
      ['kms.crypto.key-created', 'host-b', 'web', 'key-2'],
      ['host.crypto.enabled', 'host-b', 'web', 'key-2'],
      ['kms.crypto.key-created', 'host-a', 'web', 'key-3'],
      ['vm.crypto.encrypted', 'host-a', 'web', 'key-3'],
    ],
  )
  const told = (await world.events()).at(-1)
  assert.equal(told?.user, 'ada')
  assert.equal(told.task, task.id)
  await assertWhole(world)
})

test('the key ID is on record, and labels and activation come, in the order of the design', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const begin = world.process.faults.points.length
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  const names = world.process.faults.points.slice(begin).map(({ name, when }) => `${when} ${name}`)
  const ofVm = names.slice(names.lastIndexOf('after kms createKey'))
  const order = [
    'after kms createKey',
    'before db InsertQueryNode',
    'before kms labelKey',
    'before kms activateKey',
    'before kms getKey',
    'before host-a PUT /v1/keys/vault/KEY',
    'before kms labelKey',
    'before host-a PUT /v1/operations/ID',
  ]
  let from = 0
  for (const name of order) {
    const at = ofVm.indexOf(name, from)
    assert.notEqual(at, -1, `${name} after ${ofVm[from - 1]}`)
    from = at + 1
  }
})

test('disks first and VM Home last are decrypted; the KEK is forgotten and stays in its key server', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  const disks = [{ number: 1, policy: plainPolicy }]
  const first = await world.ended(await world.work.changePolicy(admin, 'web', { disks }))
  assert.equal(first.state, 'success')
  assert.equal((await world.work.showVm('web')).encryption, 'partial')
  assert.ok(world.hostB.keys.has('vault/key-3'), 'VM Home uses it still')
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: plainPolicy }))
  const vm = await world.work.showVm('web')
  assert.equal(vm.encryption, 'plain')
  assert.match(vm.disks[0]?.path ?? '', /\.raw$/)
  assert.ok(!world.hostA.keys.has('vault/key-3') && !world.hostB.keys.has('vault/key-3'))
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  const decrypted = await world.eventsOf('vm.crypto.decrypted')
  assert.match(decrypted[0]?.text ?? '', /^VM web: disk 1 decrypted$/)
  assert.match(decrypted[1]?.text ?? '', /stays in its key server/)
  assert.deepEqual(
    decrypted.map(({ keyId }) => keyId),
    ['key-3', 'key-3'],
  )
  await assertWhole(world)
})

test('a disk that is encrypted later uses the VM’s KEK, unless another provider is asked for', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { home: encryptionPolicy }))
  const encrypt = async (number: number, keyProvider?: string) => {
    const disks = [{ number, policy: encryptionPolicy }]
    const request = { disks, ...(keyProvider === undefined ? {} : { keyProvider }) }
    assert.equal((await world.ended(await world.work.changePolicy(admin, 'web', request))).error, null)
  }
  await encrypt(0)
  await encrypt(1, 'spare')
  const vm = await world.work.showVm('web')
  assert.deepEqual(
    [vm.home.key, ...vm.disks.map(({ key }) => key)],
    [
      { provider: 'vault', keyId: 'key-3' },
      { provider: 'vault', keyId: 'key-3' },
      { provider: 'spare', keyId: 'key-1' },
    ],
  )
  await assertWhole(world)
})

test('labels that are refused make one warning for each key, and nothing fails', async (context) => {
  const world = await World.start(context)
  world.kms.refusesLabels = true
  await world.plainVm()
  const task = await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  assert.equal(task.state, 'success')
  const warnings = await world.eventsOf('kms.crypto.labels-refused')
  assert.deepEqual(
    warnings.map(({ severity, keyId }) => [severity, keyId]),
    [
      ['warning', 'key-1'],
      ['warning', 'key-2'],
      ['warning', 'key-3'],
    ],
  )
})

test('what is asked for and is there already is a success at once', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const task = await world.work.changePolicy(admin, 'web', { policy: plainPolicy })
  assert.equal(task.state, 'success')
  assert.match(task.step, /nothing to do/)
  assert.equal(world.kms.keys.size, 0)
})

test('a cancelled task leaves all as it was', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  const shown = await world.work.tasks.cancel(task.id)
  assert.ok(shown.cancelRequested)
  const ended = await world.ended(task)
  assert.equal(ended.state, 'cancelled')
  assert.equal(ended.error?.code, 'cancelled')
  assert.equal((await world.work.showVm('web')).encryption, 'plain')
  assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
  assert.equal((await world.eventsOf('kms.crypto.key-destroyed')).length, 1)
  assert.equal((await world.work.tasks.cancel(task.id)).state, 'cancelled', 'once more changes nothing')
  await assertWhole(world)
})

test('a cancellation is remembered while the host is away', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.looks = 1_000_000
  const task = await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy })
  await world.until(async () => (await world.work.tasks.show(task.id)).doneBytes !== 0)
  world.hostA.running = false
  await world.disconnect(world.hostA)
  await world.until(async () => /waiting for host-a to come back/.test((await world.work.tasks.show(task.id)).step))
  assert.equal((await world.work.tasks.cancel(task.id)).state, 'running')
  await world.reboot()
  assert.equal((await world.work.tasks.show(task.id)).state, 'running')
  world.hostA.running = true
  await world.connect(world.hostA)
  assert.equal((await world.ended(task)).state, 'cancelled')
  await assertWhole(world)
})

test('tasks of different VMs run at once, a second one of the same VM is refused', async (context) => {
  const world = await World.start(context)
  await world.plainVm('one')
  await world.plainVm('two')
  world.hostA.looks = 1_000_000
  const tasks = [
    await world.work.changePolicy(admin, 'one', { policy: encryptionPolicy }),
    await world.work.changePolicy(admin, 'two', { policy: encryptionPolicy }),
  ]
  await world.until(async () => (await world.work.tasks.list(admin, { state: 'running' })).length === 2)
  await assert.rejects(world.work.changePolicy(admin, 'one', { policy: encryptionPolicy }), { code: 'vm-busy' })
  await assert.rejects(world.work.deleteVm(admin, 'two'), { code: 'vm-busy' })
  assert.equal((await world.work.showVm('one')).task, tasks[0]?.id)
  for (const task of tasks) await world.work.tasks.cancel(task.id)
  for (const task of tasks) assert.equal((await world.ended(task)).state, 'cancelled')
  await assertWhole(world)
})

test('two at once for the same VM: one begins, and the other one is refused', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const results = await Promise.allSettled([
    world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }),
    world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }),
  ])
  assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

test('the host that is not crypto-safe, and a user who may not make it so', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const user = userWithout('Cryptographer.RegisterHost')
  await assert.rejects(world.work.changePolicy(user, 'web', { policy: encryptionPolicy }), {
    code: 'no-privilege',
    message: /Cryptographer\.RegisterHost/,
  })
  assert.equal(world.kms.keys.size, 0)
  // With its own host safe the VM is encrypted, and the other host stays as it is and gets no key.
  await world.process.database.updateTable('host').set({ crypto_supported: 1 }).where('id', '=', 'host-a').execute()
  await world.disconnect(world.hostB)
  await world.ended(await world.work.createVm(admin, { name: 'first', host: 'host-a', policy: encryptionPolicy }))
  await world.ended(await world.work.deleteVm(admin, 'first'))
  await world.connect(world.hostB)
  assert.equal(
    (await world.ended(await world.work.changePolicy(user, 'web', { policy: encryptionPolicy }))).error,
    null,
  )
  assert.equal(world.hostB.keys.size, 0)
  assert.equal(world.hostB.hostKey, null)
})
