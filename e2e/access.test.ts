import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Event, Folder, Me, PermissionCheck, Task, Vm } from '@cryptvisor/control-plane-api'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest } from './lab-under-test.ts'

const mib = 1_048_576
const password = 'correct horse battery staple'
const policy = 'VM Encryption Policy'

test('a tenant looks after the VMs in a folder, and sees and touches nothing else', async (context) => {
  const lab = await LabUnderTest.start(context)
  const file = (name: string, text: string) => {
    writeFileSync(lab.path(name), text, { mode: 0o600 })
    return lab.path(name)
  }
  const passwordFile = file('password', `${password}\n`)
  const image = lab.path('disk.img')
  makeRawImage(image, 2 * mib, knownText())
  await lab.json('vm', 'import', 'payroll', '--disk', image, '--policy', policy)
  const datastore = (await lab.vm('payroll')).datastore

  await lab.json('folder', 'add', '/Acme')
  await lab.json('folder', 'add', '/Acme/Test')
  await lab.json('group', 'add', 'acme')
  await lab.json('user', 'add', 'kim', '--password-file', passwordFile)
  await lab.json('group', 'add-member', 'acme', 'kim')
  const tenant = ['System.Read', 'Datastore.AllocateSpace', 'StorageProfile.View']
  await lab.json('role', 'add', 'Tenant', ...tenant.flatMap((privilege) => ['--privilege', privilege]))
  await lab.json('permission', 'set', '/Acme', '--group', 'acme', '--role', 'Admin')
  await lab.json('permission', 'set', `datastore:${datastore}`, '--group', 'acme', '--role', 'Tenant')
  await lab.json('permission', 'set', `policy:${policy}`, '--group', 'acme', '--role', 'Tenant')

  const { url, ca } = lab.description.controlPlane
  const config = ['--config', lab.path('kim.json')]
  const asKim = (...args: readonly string[]) => lab.cryptvisor(...config, ...args)
  const login = await asKim('--url', url, '--ca', ca, 'login', '--user', 'kim', '--password-file', passwordFile)
  assert.equal(login.exitCode, 0, login.stderr)
  const kim = async <Answer>(...args: readonly string[]): Promise<Answer> => {
    const { exitCode, stdout, stderr } = await asKim('--json', ...args)
    assert.equal(exitCode, 0, `${args.join(' ')}: ${stderr}`)
    return JSON.parse(stdout) as Answer
  }
  const refused = async (text: RegExp, ...args: readonly string[]) => {
    const { exitCode, stderr } = await asKim(...args)
    assert.notEqual(exitCode, 0, args.join(' '))
    assert.match(stderr, text, args.join(' '))
  }

  const me = await kim<Me>('whoami')
  assert.deepEqual(me.privileges, [])
  assert.ok(me.permissions.some(({ to, role }) => to.name === 'acme' && role === 'Admin'))

  const host = (await lab.vm('payroll')).host
  const place = ['--folder', '/Acme/Test', '--host', host, '--datastore', datastore]
  await kim('vm', 'import', 'db1', '--disk', image, '--policy', policy, ...place)
  const db1 = await kim<Vm>('vm', 'show', 'db1')
  assert.deepEqual([db1.folder, db1.encryption], ['/Acme/Test', 'encrypted'])
  assert.equal((await kim<Task>('vm', 'rekey', 'db1')).state, 'success')
  await kim('vm', 'move', 'db1', '--folder', '/Acme')

  assert.deepEqual(
    (await kim<Vm[]>('vm', 'list')).map(({ name }) => name),
    ['db1'],
  )
  assert.deepEqual(
    (await kim<Folder[]>('folder', 'list')).map(({ path }) => path),
    ['/Acme', '/Acme/Test'],
  )
  assert.deepEqual(await kim('host', 'list'), [])
  const seen = await kim<Event[]>('event', 'list', '--limit', '200')
  assert.ok(seen.length > 0)
  assert.deepEqual(new Set(seen.map(({ vm }) => vm)), new Set(['db1']))

  const before = await lab.vm('payroll')
  await refused(/there is no VM payroll/, 'vm', 'decrypt', 'payroll')
  await refused(/there is no VM payroll/, 'vm', 'delete', before.id)
  await refused(/VirtualMachine\.Inventory\.Create/, 'vm', 'create', 'x', '--host', host, '--datastore', datastore)
  await refused(/Cryptographer\.ManageKeys/, 'keys', 'list')
  await refused(/Authorization\.ModifyPermissions/, 'permission', 'set', '/', '--user', 'kim', '--role', 'Admin')
  await refused(/there is no cluster lab/, 'host', 'enroll', 'own', '--cluster', 'lab')
  assert.deepEqual(await lab.vm('payroll'), before)

  await lab.json('permission', 'set', 'vm:db1', '--group', 'acme', '--role', 'ReadOnly')
  await refused(/StorageProfile\.Apply on VM db1/, 'vm', 'decrypt', 'db1')
  const check = await lab.json<PermissionCheck>('permission', 'check', 'kim', 'Cryptographer.Decrypt', 'vm:db1')
  assert.deepEqual([check.allowed, check.because[0]?.role, check.because[0]?.object.name], [false, 'ReadOnly', 'db1'])
  await lab.json('permission', 'remove', 'vm:db1', '--group', 'acme')

  const other = file('new', 'staple horse battery correct\n')
  await kim('user', 'password', '--old-password-file', passwordFile, '--password-file', other)
  assert.equal((await kim<Task>('vm', 'delete', 'db1')).state, 'success')
  await lab.json('user', 'end-sessions', 'kim')
  await refused(/log in/, 'vm', 'list')
})
