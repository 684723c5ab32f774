import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { v7 } from 'uuid'
import { openAccessPlane } from '../../testing/access-plane.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { putExternalUser } from '../identity/external-users.ts'
import { GroupMappings } from '../identity/group-mappings.ts'
import { IdentitySources } from '../identity/identity-sources.ts'
import { accountActDays, requireTwoPeople } from './two-people.ts'

const dayMs = 86_400_000

/** An installation that is a year old, with the administrators ada, eve and kim, whom nobody touched lately. */
async function openOldPlane() {
  const plane = await openAccessPlane()
  await plane.database
    .updateTable('installation')
    .set({ installation_id: v7({ msecs: plane.now() - 365 * dayMs }) })
    .execute()
  for (const name of ['ada', 'eve', 'kim']) await plane.addUser(name, 'Admin')
  plane.pass(30 * dayMs)
  const as = async (name: string) => plane.logIn(name)
  const decide = (requestedBy: string, approvedBy: string, requestedAt = plane.now()) =>
    requireTwoPeople(plane.database, { requestedBy, requestedAt, approvedBy, now: plane.now() })
  const refused = (deciding: Promise<void>, text: RegExp) =>
    assert.rejects(deciding, (error) => {
      assert.ok(error instanceof ControlPlaneError)
      assert.equal(error.code, 'no-privilege')
      assert.match(error.message, text)
      return true
    })
  return { plane, as, decide, refused, [Symbol.asyncDispose]: () => plane.database.destroy() }
}

const password = 'another battery staple'

test('whoever set the approver’s password could be the approver: after the request, and for days before it', async () => {
  await using it = await openOldPlane()
  const { plane } = it
  await it.decide('ada', 'eve')
  const before = plane.now()
  plane.pass(60_000)
  await plane.users.change('eve', { password }, await it.as('ada'))
  await it.refused(
    it.decide('ada', 'eve', before),
    /one person could be both: ada set the password of eve at .*recover-admin/,
  )
  await it.refused(it.decide('ADA', 'Eve', before), /set the password/)
  // Also the other way round: whoever approves could have made the request.
  await it.refused(it.decide('eve', 'ada'), /ada set the password of eve/)
  await it.decide('ada', 'kim')
  await it.decide('kim', 'eve')
  plane.pass((accountActDays - 1) * dayMs)
  await it.refused(it.decide('ada', 'eve'), /set the password/)
  plane.pass(2 * dayMs)
  await it.decide('ada', 'eve')
  await it.refused(it.decide('ada', 'eve', before), /set the password/)
})

test('so could whoever made the account, reset its second factor or, by accounts between, either; rights count between the two', async () => {
  await using it = await openOldPlane()
  const { plane } = it
  const ada = await it.as('ada')
  await plane.users.create({ name: 'puppet', password, role: 'Admin' }, ada)
  await it.refused(it.decide('ada', 'puppet'), /ada made the account of puppet/)
  const puppet = await plane.logIn('puppet', password)
  await plane.users.create({ name: 'second', password, role: 'Admin' }, puppet)
  await it.refused(it.decide('ada', 'second'), /puppet made the account of second at .*ada made the account of puppet/)
  await it.refused(it.decide('puppet', 'second'), /puppet made/)
  await it.decide('kim', 'second')

  await plane.users.change('kim', { password }, await it.as('eve'))
  await plane.users.change('ada', { password }, await it.as('eve'))
  await it.refused(it.decide('ada', 'kim'), /eve set the password of ada.*eve set the password of kim/)

  await plane.groups.create({ name: 'keepers' }, plane.admin)
  await plane.permissions.set(
    { object: { kind: 'root', name: '/' }, to: { kind: 'group', name: 'keepers' }, role: 'Admin' },
    plane.admin,
  )
  await plane.users.create({ name: 'lou', password }, await it.as('eve'))
  await plane.groups.addMember('keepers', 'lou', plane.admin)
  await it.refused(it.decide('admin', 'lou'), /admin gave rights to lou/)
  await it.decide('lou', 'admin')
})

test('the second factor of another, taken off, counts; one’s own does not', async () => {
  await using it = await openOldPlane()
  const { plane } = it
  await plane.database
    .insertInto('second_factor')
    .values({ user_name: 'eve', sealed_secret: Buffer.alloc(1), confirmed_at: 1, last_step: 0, created_at: 1 })
    .execute()
  await plane.secondFactors.reset('eve', await it.as('ada'))
  await it.refused(it.decide('ada', 'eve'), /ada reset the second factor of eve/)
  await it.decide('kim', 'eve')
})

test('who was given a new password on the machine itself is in nobody else’s hands', async () => {
  await using it = await openOldPlane()
  const { plane } = it
  await plane.users.change('eve', { password }, await it.as('ada'))
  await plane.users.setAdministrator('eve', 'the third battery')
  await it.decide('ada', 'eve')
})

test('so could whoever says where the source is that the approver is of, or maps groups of it', async () => {
  await using it = await openOldPlane()
  const { plane } = it
  using root = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), root)
  const sources = new IdentitySources(plane.database, plane.events, barrier, plane.now)
  const mappings = new GroupMappings(plane.events, plane.now)
  const oidc = (issuer: string) => ({ issuer, clientId: 'cryptvisor' })
  const ada = await it.as('ada')
  await sources.create({ name: 'corp', oidc: oidc('https://login.example.org') }, ada)
  const groups = ['keepers']
  const logIn = (name: string) =>
    plane.events.transaction((transaction) =>
      putExternalUser(transaction, 'corp', { subject: name, name, groups }, 'none', plane.now()),
    )
  await logIn('sock')
  await it.refused(it.decide('ada', 'sock@corp'), /^(?!.*recover-admin).*ada added the identity source corp at/)
  await it.refused(it.decide('sock@corp', 'ada'), /ada added the identity source corp/)
  await it.decide('kim', 'sock@corp')

  plane.pass((accountActDays + 1) * dayMs)
  await it.decide('ada', 'sock@corp')
  await sources.change('corp', { confirmDays: 9 }, await it.as('ada'))
  await it.decide('ada', 'sock@corp')
  await sources.change('corp', { oidc: oidc('https://login.example.net') }, await it.as('ada'))
  await it.refused(it.decide('ada', 'sock@corp'), /ada changed the settings of the identity source corp/)

  plane.pass((accountActDays + 1) * dayMs)
  await plane.groups.create({ name: 'keepers' }, plane.admin)
  await mappings.add('corp', { external: 'keepers', group: 'keepers' }, await it.as('kim'))
  await it.refused(it.decide('kim', 'sock@corp'), /kim gave rights to groups of the identity source corp/)
  await it.decide('sock@corp', 'kim')
  // Who is in the group is not known before they log in.
  const keepers = { object: { kind: 'root', name: '/' }, to: { kind: 'group', name: 'keepers' } } as const
  await plane.permissions.set({ ...keepers, role: 'Admin' }, await it.as('eve'))
  await logIn('late')
  await it.refused(it.decide('eve', 'late@corp'), /eve gave rights to groups of the identity source corp/)
  await it.decide('ada', 'late@corp')
})

test('while an installation is set up, one person makes everybody: that does not count, what comes after a request does', async () => {
  await using plane = await openAccessPlane()
  await plane.database
    .updateTable('installation')
    .set({ installation_id: v7({ msecs: plane.now() }) })
    .execute()
  await plane.addUser('eve', 'Admin')
  plane.pass(60_000)
  const decide = (requestedAt: number) =>
    requireTwoPeople(plane.database, { requestedBy: 'admin', requestedAt, approvedBy: 'eve', now: plane.now() })
  await decide(plane.now())
  const asked = plane.now()
  plane.pass(60_000)
  await plane.users.change('eve', { password }, plane.admin)
  await assert.rejects(decide(asked), /admin set the password of eve.* withdraw the request and ask anew/)
  plane.pass(2 * dayMs)
  await decide(plane.now())
  const admin = await plane.logIn()
  await plane.users.change('eve', { password }, admin)
  plane.pass(60_000)
  await assert.rejects(decide(plane.now()), /admin set the password of eve/)
})
