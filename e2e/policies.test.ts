import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import type { ApplyPlan, DetachedDisk, Disk, StoragePolicy, Task, VmCompliance } from '@cryptvisor/control-plane-api'
import { keyProviderOf } from '@cryptvisor/lab'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest, sha256 } from './lab-under-test.ts'

const mib = 1_048_576

async function importVm(lab: LabUnderTest, name: string): Promise<string> {
  const image = lab.path(`${name}.img`)
  makeRawImage(image, 4 * mib, knownText())
  await lab.json('vm', 'import', name, '--disk', image, '--host', 'host-a')
  return image
}

async function complianceOf(lab: LabUnderTest, vm: string): Promise<VmCompliance> {
  const [found] = await lab.json<VmCompliance[]>('policy', 'compliance', '--vm', vm)
  assert.ok(found)
  return found
}

/** What the command says when it fails. */
async function refusal(lab: LabUnderTest, ...args: readonly string[]): Promise<string> {
  const { exitCode, stderr } = await lab.cryptvisor(...args)
  assert.notEqual(exitCode, 0, args.join(' '))
  return stderr
}

test('storage policies, as an operator uses them', async (context) => {
  const lab = await LabUnderTest.start(context)

  await context.test(
    'a policy is cloned, applied, drifts and is applied again; one in use is not removed',
    async () => {
      await importVm(lab, 'web')
      const gold = await lab.json<StoragePolicy>(
        'policy',
        'clone',
        'VM Encryption Policy',
        'Gold',
        '--rotate-after',
        '90',
      )
      assert.deepEqual([gold.encryption, gold.rotationDays, gold.version], [true, 90, 1])
      assert.match(await refusal(lab, 'policy', 'change', 'VM Encryption Policy', '--verify'), /clone it/)
      await lab.json('vm', 'policy', 'web', '--policy', 'Gold')
      assert.equal((await lab.vm('web')).encryption, 'encrypted')
      assert.equal((await complianceOf(lab, 'web')).state, 'compliant')

      await lab.json('policy', 'change', 'Gold', '--rotate-after', '30')
      const drifted = await complianceOf(lab, 'web')
      assert.equal(drifted.state, 'non-compliant')
      assert.match(drifted.reasons[1]?.text ?? '', /^disk 0: «Gold» was changed/)
      assert.match((await lab.events('--type', 'vm.policy.drift'))[0]?.text ?? '', /VM web does not comply/)
      const [plan] = await lab.json<ApplyPlan[]>('policy', 'apply', '--vm', 'web', '--preview')
      assert.deepEqual(
        plan?.steps.map(({ action }) => action),
        ['take-version'],
      )
      const task = await lab.json<Task>('policy', 'apply', '--policy', 'Gold')
      assert.equal(task.state, 'success')
      assert.equal((await complianceOf(lab, 'web')).state, 'compliant')
      assert.equal((await lab.events('--type', 'vm.policy.compliant', '--vm', 'web')).length, 1)
      assert.match(await refusal(lab, 'policy', 'remove', 'Gold'), /is that of VM web/)
    },
  )

  await context.test(
    'a disk is detached and attached to another VM with its data and its key; rules are said',
    async () => {
      const image = await importVm(lab, 'one')
      await importVm(lab, 'db')
      await lab.json('vm', 'encrypt', 'one')
      const [before] = await lab.json<Disk[]>('disk', 'list', 'one')
      assert.ok(before)
      await lab.json('disk', 'detach', 'one', '0')
      const [layer] = await lab.json<DetachedDisk[]>('disk', 'list', '--detached')
      assert.deepEqual([layer?.layer, layer?.path, layer?.key], [before.layerId, before.path, before.key])
      assert.ok(existsSync(before.path))
      const attach = ['disk', 'attach', 'db', before.layerId] as const
      assert.match(await refusal(lab, ...attach, '--policy', 'VM Encryption Policy'), /VM db is plain/)
      await lab.json('vm', 'encrypt', 'db')
      assert.match(
        await refusal(lab, ...attach, '--policy', 'Datastore Default'),
        /is encrypted, so it is attached with/,
      )

      await lab.json('vm', 'delete', 'one')
      await lab.json(...attach)
      const attached = (await lab.json<Disk[]>('disk', 'list', 'db')).find(({ layerId }) => layerId === before.layerId)
      assert.deepEqual([attached?.number, attached?.key], [1, before.key])
      assert.ok(!existsSync(before.path) && existsSync(attached?.path ?? ''), 'it lies with its VM')
      await lab.json('disk', 'export', 'db', '1', lab.path('out.img'))
      assert.equal(await sha256(lab.path('out.img')), await sha256(image))

      await lab.json('disk', 'detach', 'db', '1')
      await lab.json('disk', 'remove', '--detached', before.layerId)
      assert.ok(!existsSync(attached?.path ?? ''))
      assert.deepEqual(await lab.json('disk', 'list', '--detached'), [])
      await lab.json('disk', 'remove', 'db', '0')
      assert.deepEqual(await lab.json('disk', 'list', 'db'), [])
    },
  )

  await context.test('a key that is revoked stops a VM whose policy says so, until it has another one', async () => {
    const image = await importVm(lab, 'strict')
    await lab.json('policy', 'add', 'Strict', '--encrypt', '--on-revocation', 'stop')
    await lab.json('vm', 'policy', 'strict', '--policy', 'Strict')
    const { home } = await lab.vm('strict')
    {
      await using kmip = keyProviderOf(lab.description, 'control-plane')
      await kmip.revokeKey(home.key?.keyId ?? '', 'cessation-of-operation')
    }
    assert.match(await refusal(lab, 'keys', 'verify', '--all'), /is revoked/)
    const { lock } = await lab.vm('strict')
    assert.equal(lock.state, 'locked')
    assert.match(lock.text ?? '', /^key revoked: .*«Strict»/)
    assert.equal((await lab.events('--type', 'vm.crypto.stopped', '--vm', 'strict')).length, 1)
    assert.match(await refusal(lab, 'vm', 'unlock', 'strict'), /key revoked/)
    assert.match(await refusal(lab, 'disk', 'export', 'strict', '0', lab.path('no.img')), /key revoked/)

    await lab.json('vm', 'rekey', 'strict')
    const rekeyed = await lab.vm('strict')
    assert.equal(rekeyed.lock.state, 'unlocked')
    assert.notDeepEqual(rekeyed.home.key, home.key)
    await lab.json('disk', 'export', 'strict', '0', lab.path('strict-out.img'))
    assert.equal(await sha256(lab.path('strict-out.img')), await sha256(image))
    assert.equal((await complianceOf(lab, 'strict')).state, 'compliant')
  })
})
