import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Privilege, privileges } from '@cryptvisor/control-plane-api'
import { openAccessPlane } from '../../testing/access-plane.ts'

const everything = { kind: 'root', name: '/' } as const
const folder = (name: string) => ({ kind: 'folder', name }) as const
const user = (name: string) => ({ kind: 'user', name }) as const
const group = (name: string) => ({ kind: 'group', name }) as const
const noPrivilege = { code: 'no-privilege' }

/** Folders `/a` and `/a/b`, and a user `lead` who manages permissions in `/a` with all but cryptography. */
async function setUp() {
  const plane = await openAccessPlane()
  await plane.folders.create({ name: 'a' }, plane.admin)
  await plane.folders.create({ name: 'b', parent: '/a' }, plane.admin)
  for (const name of ['lead', 'kim', 'lee']) await plane.addUser(name)
  await plane.permissions.set({ object: folder('/a'), to: user('lead'), role: 'NoCryptoAdmin' }, plane.admin)
  return { ...plane, lead: await plane.logIn('lead'), [Symbol.asyncDispose]: plane[Symbol.asyncDispose] }
}

test('a permission counts at once, for open sessions too, and is taken away again', async () => {
  await using plane = await setUp()
  const kim = await plane.logIn('kim')
  const check = () => plane.permissions.check('kim', 'VApp.Export', folder('/a/b'), plane.admin)
  assert.deepEqual((await check()).because, [])
  await plane.permissions.set({ object: folder('/a'), to: user('kim'), role: 'NoCryptoAdmin' }, plane.lead)
  assert.equal((await check()).allowed, true)
  assert.deepEqual((await check()).because[0]?.object, folder('/a'))
  assert.equal((await plane.again(kim)).canSomewhere('VApp.Export'), true)
  await plane.permissions.set({ object: folder('/a/b'), to: user('kim'), role: 'NoAccess' }, plane.lead)
  assert.equal((await check()).allowed, false)
  await plane.permissions.remove(folder('/a/b'), user('kim'), plane.lead)
  await plane.permissions.remove(folder('/a'), user('kim'), plane.lead)
  assert.equal((await plane.again(kim)).canSomewhere('VApp.Export'), false)
  const events = await plane.events.list({ type: 'permission.changed', limit: 10 })
  assert.equal(events.length, 5)
  assert.match(events.at(-1)?.text ?? '', /user lead has role NoCryptoAdmin on folder \/a and all that lies in it now/)
})

test('nobody gives what they do not have, nor where they do not have it', async () => {
  await using plane = await setUp()
  const give = (role: string, object: Parameters<typeof plane.permissions.set>[0]['object'], propagate = true) =>
    plane.permissions.set({ object, to: user('kim'), role, propagate }, plane.lead)
  await assert.rejects(give('Admin', folder('/a')), noPrivilege)
  await assert.rejects(give('ReadOnly', everything), noPrivilege)
  await assert.rejects(give('nothing', folder('/a')), { code: 'not-found', field: 'role' })
  await plane.permissions.set({ object: folder('/a/b'), to: user('lead'), role: 'ReadOnly' }, plane.admin)
  const { lead } = { lead: await plane.again(plane.lead) }
  const set = { object: folder('/a'), to: user('kim'), role: 'NoCryptoAdmin' }
  await assert.rejects(plane.permissions.set(set, lead), /all that lies in the object/)
  await plane.permissions.set({ ...set, propagate: false }, lead)
})

test('nobody takes away, or replaces, what they do not have', async () => {
  await using plane = await setUp()
  await plane.permissions.set({ object: folder('/a'), to: user('kim'), role: 'Admin' }, plane.admin)
  await assert.rejects(plane.permissions.remove(folder('/a'), user('kim'), plane.lead), noPrivilege)
  const set = { object: folder('/a'), to: user('kim'), role: 'NoAccess' }
  await assert.rejects(plane.permissions.set(set, plane.lead), noPrivilege)
})

test('taking a smaller permission away does not uncover a larger one from above', async () => {
  await using plane = await setUp()
  await plane.permissions.set({ object: everything, to: user('kim'), role: 'Admin' }, plane.admin)
  await plane.permissions.set({ object: folder('/a'), to: user('kim'), role: 'NoAccess' }, plane.admin)
  await assert.rejects(plane.permissions.remove(folder('/a'), user('kim'), plane.lead), noPrivilege)
  const alone = { object: folder('/a'), to: user('kim'), role: 'NoAccess', propagate: false }
  await assert.rejects(plane.permissions.set(alone, plane.lead), noPrivilege)
  await plane.permissions.remove(folder('/a'), user('kim'), plane.admin)
})

test('groups: membership gives and takes within what its maker has', async () => {
  await using plane = await setUp()
  const { admin, groups, permissions } = plane
  await groups.create({ name: 'ops' }, admin)
  await permissions.set({ object: everything, to: group('ops'), role: 'Admin' }, admin)
  await plane.roles.create({ name: 'clerk', privileges: ['System.Read', 'Authorization.ModifyPermissions'] }, admin)
  await permissions.set({ object: everything, to: user('lee'), role: 'clerk' }, admin)
  const lee = await plane.logIn('lee')
  await assert.rejects(groups.addMember('ops', 'lee', lee), noPrivilege)
  await groups.addMember('ops', 'kim', admin)
  await groups.addMember('ops', 'kim', admin)
  const kim = await plane.logIn('kim')
  assert.equal(kim.privileges.size, privileges.length)
  await assert.rejects(groups.removeMember('ops', 'kim', lee), noPrivilege)
  await assert.rejects(groups.remove('ops', lee), noPrivilege)

  await groups.create({ name: 'barred' }, admin)
  await permissions.set({ object: everything, to: group('barred'), role: 'NoAccess' }, admin)
  await permissions.remove(everything, group('ops'), admin)
  await permissions.set({ object: folder('/a'), to: group('barred'), role: 'NoAccess' }, admin)
  await permissions.set({ object: everything, to: user('kim'), role: 'Admin' }, admin)
  await groups.addMember('barred', 'kim', admin)
  await assert.rejects(groups.removeMember('barred', 'kim', lee), noPrivilege)
  await assert.rejects(groups.addMember('barred', 'nobody', admin), { code: 'not-found', field: 'user' })
  await assert.rejects(groups.addMember('nowhere', 'kim', admin), { code: 'not-found', field: 'group' })
  assert.deepEqual(
    (await groups.list()).map(({ name, members }) => [name, members]),
    [
      ['barred', ['kim']],
      ['ops', ['kim']],
    ],
  )
})

test('an administrator stays, whatever is changed: permission, group, membership or user', async () => {
  await using plane = await setUp()
  const { admin, groups, permissions, users } = plane
  const inUse = { code: 'in-use', message: /administrator/ }
  await assert.rejects(permissions.remove(everything, user('admin'), admin), inUse)
  const root = { object: everything, to: user('admin'), role: 'ReadOnly' }
  await assert.rejects(permissions.set(root, admin), inUse)
  await assert.rejects(permissions.set({ ...root, role: 'Admin', propagate: false }, admin), inUse)
  await groups.create({ name: 'admins' }, admin)
  await permissions.set({ object: everything, to: group('admins'), role: 'Admin' }, admin)
  await assert.rejects(permissions.remove(everything, user('admin'), admin), inUse, 'an empty group is nobody')
  await groups.addMember('admins', 'kim', admin)
  await permissions.remove(everything, user('admin'), admin)
  const kim = await plane.logIn('kim')
  for (const refused of [
    groups.removeMember('admins', 'kim', kim),
    groups.remove('admins', kim),
    users.remove('kim', kim),
    permissions.set({ object: everything, to: user('kim'), role: 'NoAccess' }, kim),
  ]) {
    await assert.rejects(refused, inUse)
  }
})

test('what is removed takes its permissions along; what one may not see is as if it were not there', async () => {
  await using plane = await setUp()
  const { permissions, folders, admin } = plane
  await permissions.set({ object: folder('/a/b'), to: user('kim'), role: 'ReadOnly' }, admin)
  const kim = await plane.logIn('kim')
  assert.deepEqual(
    (await folders.list(kim)).map(({ path }) => path),
    ['/a/b'],
  )
  assert.equal((await permissions.list(kim)).length, 1)
  await assert.rejects(permissions.list(kim, {}, folder('/c')), { code: 'not-found' })
  await assert.rejects(permissions.check('lead', 'System.Read', folder('/a'), kim), { code: 'not-found' })
  await assert.rejects(permissions.check('lead', 'System.Read', folder('/a/b'), kim), noPrivilege)
  assert.equal((await permissions.check('kim', 'System.Read', folder('/a/b'), kim)).allowed, true)
  await assert.rejects(permissions.check('kim', 'System.Rood', folder('/a/b'), kim), { field: 'privilege' })
  await folders.remove('/a/b', admin)
  assert.deepEqual(await permissions.list(admin, user('kim')), [])
})

test('a role is changed wherever somebody has it, by whoever has there what is given and taken', async () => {
  await using plane = await setUp()
  const { roles } = plane
  await roles.create({ name: 'Ops', privileges: ['System.Read', 'VirtualMachine.Config.Settings'] }, plane.admin)
  await plane.permissions.set({ object: folder('/a'), to: user('kim'), role: 'Ops' }, plane.admin)
  const can = async (privilege: Privilege) =>
    (await plane.permissions.check('kim', privilege, folder('/a'), plane.admin)).allowed
  assert.equal(await can('Cryptographer.Encrypt'), false)
  const changed = await roles.change('Ops', { add: ['Cryptographer.Encrypt'], remove: ['System.Read'] }, plane.admin)
  assert.deepEqual(changed.privileges, ['Cryptographer.Encrypt', 'VirtualMachine.Config.Settings'])
  assert.deepEqual([await can('Cryptographer.Encrypt'), await can('System.Read')], [true, false])
  const [event] = await plane.events.list({ type: 'user.changed', limit: 1 })
  assert.match(event?.text ?? '', /role Ops gives Cryptographer.Encrypt from now on and gives System.Read no more/)
  const set = await roles.change('Ops', { privileges: ['System.Read'] }, plane.admin)
  assert.deepEqual(set.privileges, ['System.Read'])

  await assert.rejects(roles.change('Ops', { add: ['System.Rule'] }, plane.admin), { code: 'invalid' })
  await assert.rejects(roles.change('Nobody', { add: [] }, plane.admin), { code: 'not-found' })
  await assert.rejects(roles.change('Admin', { remove: ['System.Read'] }, plane.admin), { code: 'in-use' })

  // Somebody who has less cannot give, or take away, what they lack, by way of a role.
  await plane.addUser('mia', 'NoCryptoAdmin')
  const mia = await plane.logIn('mia')
  const lacks = { code: 'no-privilege', message: /Cryptographer\.Encrypt/ }
  await assert.rejects(roles.change('Ops', { add: ['Cryptographer.Encrypt'] }, mia), lacks)
  await roles.change('Ops', { add: ['Cryptographer.Encrypt'] }, plane.admin)
  await assert.rejects(roles.change('Ops', { remove: ['Cryptographer.Encrypt'] }, mia), lacks)
  await roles.change('Ops', { add: ['Global.CancelTask'] }, mia)
  await plane.permissions.set({ object: folder('/a'), to: user('mia'), role: 'ReadOnly' }, plane.admin)
  await assert.rejects(roles.change('Ops', { remove: ['Global.CancelTask'] }, await plane.again(mia)), {
    code: 'no-privilege',
    message: /Global.CancelTask on folder/,
  })
})
