import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Privilege, plainPolicy } from '@cryptvisor/control-plane-api'
import { admin, userWithout, World } from './testing/world.ts'

const dayMs = 86_400_000

/** A lab with a VM that has the policy «Gold», which encrypts. */
async function lab(context: Parameters<typeof World.start>[0], rules: Parameters<World['addPolicy']>[1] = {}) {
  const world = await World.start(context)
  await world.addPolicy('Gold', { encryption: 1, ...rules })
  await world.plainVm()
  await succeed(world, world.work.changePolicy(admin, 'web', { policy: 'Gold' }))
  return world
}

async function succeed(world: World, asked: ReturnType<World['work']['changePolicy']>): Promise<void> {
  const { state, error } = await world.ended(await asked)
  assert.equal(state, 'success', error?.message)
}

async function complianceOf(world: World, vm = 'web') {
  const [found] = await world.work.compliance(admin, { vm })
  assert.ok(found !== undefined)
  return { ...found, rules: found.reasons.map(({ part, rule }) => `${part} ${rule}`) }
}

async function apply(world: World) {
  const { task, plans } = await world.work.applyPolicies(admin, { vm: 'web' })
  return { plans, task: task === null ? null : await world.ended(task) }
}

const stepsOf = async (world: World) =>
  (await world.work.previewPolicies(admin, { vm: 'web' })).flatMap(({ steps }) => steps.map(({ text }) => text))

test('a VM is compliant, drifts when its policy is changed, and is out of date until that is applied', async (context) => {
  const world = await lab(context)
  assert.deepEqual((await complianceOf(world)).rules, [])
  assert.equal((await complianceOf(world)).state, 'compliant')
  await world.changePolicy('Gold', { verify: 1 })
  const drifted = await complianceOf(world)
  assert.equal(drifted.state, 'non-compliant')
  assert.deepEqual(drifted.rules, ['VM Home version', 'disk 0 version', 'disk 1 version'])
  const [event] = await world.eventsOf('vm.policy.drift')
  assert.match(event?.text ?? '', /VM web does not comply.*disk 0: «Gold» was changed: it has version 2/)
  const keys = world.kms.keys.size
  const { task } = await apply(world)
  assert.equal(task?.state, 'success', task?.error?.message)
  assert.equal((await complianceOf(world)).state, 'compliant')
  assert.equal((await world.eventsOf('vm.policy.compliant')).length, 1)
  assert.equal(world.kms.keys.size, keys, 'nothing was encrypted or rekeyed for it')
})

test('another provider: compliance names the keys, and apply rekeys to it', async (context) => {
  const world = await lab(context)
  await world.changePolicy('Gold', { key_provider: 'spare' })
  const { reasons } = await complianceOf(world)
  assert.match(
    reasons.find(({ rule }) => rule === 'key-provider')?.text ?? '',
    /^VM Home: its key key-\d+ of provider vault is not of spare, as «Gold» says$/,
  )
  assert.deepEqual(await stepsOf(world), [
    'rekey VM Home, disk 0, disk 1 (shallow) with a key of spare',
    'take note that VM Home, disk 0, disk 1 have the changed policy now',
  ])
  const { task } = await apply(world)
  assert.equal(task?.state, 'success', task?.error?.message)
  const vm = await world.work.showVm('web')
  assert.deepEqual(
    [vm.home, ...vm.disks].map(({ key }) => key?.provider),
    ['spare', 'spare', 'spare'],
  )
  assert.equal((await complianceOf(world)).state, 'compliant')
  assert.equal((await apply(world)).task, null, 'there is nothing left to do')
})

test('a key that grows old is due for rotation, found by the interval, and replaced', async (context) => {
  const world = await lab(context, { rotation_days: 90 })
  world.pass(89 * dayMs)
  assert.equal((await complianceOf(world)).state, 'compliant')
  world.pass(dayMs)
  await world.until(async () => (await world.eventsOf('vm.policy.drift')).length === 1)
  const { reasons } = await complianceOf(world)
  assert.match(reasons[0]?.text ?? '', /rotation is due: its key key-\d+ of provider vault is 90 days old/)
  const before = (await world.work.showVm('web')).home.key?.keyId
  assert.equal((await apply(world)).task?.state, 'success')
  assert.notEqual((await world.work.showVm('web')).home.key?.keyId, before)
  assert.equal((await complianceOf(world)).state, 'compliant')
})

test('a policy that encrypts from now on: apply encrypts what is plain; the other way round it decrypts', async (context) => {
  const world = await World.start(context)
  await world.addPolicy('Own', {})
  await world.plainVm()
  await succeed(world, world.work.changePolicy(admin, 'web', { policy: 'Own' }))
  await world.changePolicy('Own', { encryption: 1, key_provider: 'spare' })
  assert.ok((await complianceOf(world)).rules.includes('disk 1 encryption'))
  assert.equal((await apply(world)).task?.state, 'success')
  const vm = await world.work.showVm('web')
  assert.equal(vm.encryption, 'encrypted')
  assert.equal(vm.home.key?.provider, 'spare')
  await world.changePolicy('Own', { encryption: 0, key_provider: null })
  assert.deepEqual(await stepsOf(world), [
    'decrypt VM Home, disk 0, disk 1',
    'take note that VM Home, disk 0, disk 1 have the changed policy now',
  ])
  assert.equal((await apply(world)).task?.state, 'success')
  assert.equal((await world.work.showVm('web')).encryption, 'plain')
})

test('what no task mends is said with its cure, and keeps the VM from being compliant', async (context) => {
  const world = await lab(context)
  await world.changePolicy('Gold', { thin: 1 })
  const { plans, task } = await apply(world)
  assert.match(
    plans[0]?.blocked[0]?.text ?? '',
    /^disk 0: it is raw, and «Gold» says thin: decrypt the disk and encrypt/,
  )
  assert.equal(task?.state, 'error')
  assert.match(task?.error?.message ?? '', /1 of 1 VM could not be brought into line.*disk 1: it is raw/)
  const { state, rules } = await complianceOf(world)
  assert.equal(state, 'non-compliant')
  assert.deepEqual(rules, ['disk 0 thin', 'disk 1 thin'], 'the rest was taken note of')
})

test('VM Home is not decrypted while the policy of a disk encrypts', async (context) => {
  const world = await lab(context)
  await world.addPolicy('Silver', { encryption: 1 })
  await succeed(world, world.work.changePolicy(admin, 'web', { disks: [{ number: 1, policy: 'Silver' }] }))
  await world.changePolicy('Gold', { encryption: 0 })
  const [plan] = await world.work.previewPolicies(admin, { vm: 'web' })
  assert.match(plan?.blocked[0]?.text ?? '', /^VM Home: it cannot be decrypted while a disk is encrypted.*disk 1/)
  assert.equal((await apply(world)).task?.state, 'error')
  const vm = await world.work.showVm('web')
  assert.deepEqual(
    [vm.home, ...vm.disks].map(({ encrypted }) => encrypted),
    [true, false, true],
  )
})

test('a locked VM is not known to comply; one that does not stays that until it is looked at', async (context) => {
  const world = await lab(context)
  world.hostA.running = false
  await world.disconnect(world.hostA)
  const { state, reasons } = await complianceOf(world)
  assert.equal(state, 'unknown')
  assert.match(reasons[0]?.text ?? '', /^VM: it is not known whether it opens \(its host is not connected\)/)
  await world.changePolicy('Gold', { hardened: 1 })
  assert.equal((await complianceOf(world)).state, 'non-compliant', 'what is known to be wrong counts')
})

test('after a restart, what was not known of VMs is looked at again as soon as their host is back', async (context) => {
  const world = await lab(context)
  const kept = async () => (await world.work.showVm('web')).compliance?.state
  world.hostA.running = false
  await world.disconnect(world.hostA)
  await world.reboot()
  await world.until(async () => (await kept()) === 'unknown')
  world.hostA.running = true
  await world.connect(world.hostA)
  await world.until(async () => (await kept()) === 'compliant')
  assert.deepEqual(await world.eventsOf('vm.policy.drift'), [])
})

test('hardened mode is kept, and nothing pretends that it is carried out', async (context) => {
  const world = await lab(context, { hardened: 1 })
  const { state, reasons } = await complianceOf(world)
  assert.equal(state, 'unknown')
  assert.match(reasons[0]?.text ?? '', /hardened mode, which this version does not carry out before VMs run/)
})

test('a key that is revoked is a reason, with its cure', async (context) => {
  const world = await lab(context)
  const key = world.kms.keys.get((await world.work.showVm('web')).home.key?.keyId ?? '')
  assert.ok(key !== undefined)
  key.state = 'Deactivated'
  await world.ended(await world.work.verifyKeys(admin, {}))
  const { rules, state } = await complianceOf(world)
  assert.deepEqual(rules, ['VM Home key-state', 'disk 0 key-state', 'disk 1 key-state'])
  assert.equal(state, 'non-compliant')
  const [plan] = await world.work.previewPolicies(admin, { vm: 'web' })
  assert.match(plan?.blocked[0]?.text ?? '', /is Deactivated: give it another key \(«vm rekey»/)
})

test('all VMs of a policy are brought into line by one task; a VM that fails is named', async (context) => {
  const world = await lab(context)
  for (const name of ['db', 'mail', 'dns']) {
    await world.plainVm(name)
    await succeed(world, world.work.changePolicy(admin, name, { policy: 'Gold' }))
  }
  await world.changePolicy('Gold', { key_provider: 'spare' })
  const isMail = ({ vm }: { vm: { name: string } }) => vm.name === 'mail'
  world.hostA.onStart = (asked) => {
    world.hostA.failWith = isMail(asked) ? { code: 'io', message: 'the disk is broken' } : null
  }
  const { task } = await world.work.applyPolicies(admin, { policy: 'Gold' })
  assert.ok(task !== null)
  const ended = await world.ended(task)
  assert.equal(ended.state, 'error')
  assert.match(
    ended.error?.message ?? '',
    /^1 of 4 VMs could not be brought into line, the others were: VM mail: .*broken/,
  )
  const found = await world.work.compliance(admin, { policy: 'Gold' })
  assert.deepEqual(
    found.filter(({ state }) => state !== 'compliant').map(({ vm }) => vm),
    ['mail'],
  )
})

for (const [missing, change] of [
  ['Cryptographer.Recrypt', { key_provider: 'spare' }],
  ['Cryptographer.Decrypt', { encryption: 0 }],
] as const satisfies readonly (readonly [Privilege, object])[]) {
  test(`apply asks for ${missing} before anything is done`, async (context) => {
    const world = await lab(context)
    await world.changePolicy('Gold', change)
    const asked = world.work.applyPolicies(userWithout(missing), { vm: 'web' })
    await assert.rejects(asked, { code: 'no-privilege', message: new RegExp(missing) })
    assert.equal((await world.work.showVm('web')).task, null)
  })
}

test('apply wants a VM or a policy, that are there', async (context) => {
  const world = await lab(context)
  for (const [request, code] of [
    [{}, 'invalid'],
    [{ vm: 'web', policy: 'Gold' }, 'invalid'],
    [{ vm: 'none' }, 'not-found'],
    [{ policy: 'none' }, 'not-found'],
  ] as const) {
    await assert.rejects(world.work.applyPolicies(admin, request), { code })
    await assert.rejects(world.work.previewPolicies(admin, request), { code })
  }
  assert.deepEqual(await world.work.previewPolicies(admin, { policy: plainPolicy }), [])
})
