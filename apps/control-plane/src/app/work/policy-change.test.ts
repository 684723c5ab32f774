import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ChangePolicy, encryptionPolicy, type Privilege, plainPolicy } from '@cryptvisor/control-plane-api'
import type { ControlPlaneErrorCode } from '../control-plane-error.ts'
import { userWithout, World } from './testing/world.ts'

const encrypted = encryptionPolicy
const plain = plainPolicy

interface Refusal {
  readonly name: string
  /** How the VM is before. */
  readonly before?: ChangePolicy
  readonly request: ChangePolicy
  readonly without?: Privilege
  readonly code: ControlPlaneErrorCode
  readonly message: RegExp
}

const refusals: readonly Refusal[] = [
  { name: 'nothing', request: {}, code: 'invalid', message: /give one for the whole VM/ },
  { name: 'no disks', request: { disks: [] }, code: 'invalid', message: /give one for the whole VM/ },
  {
    name: 'the whole and a part',
    request: { policy: encrypted, home: encrypted },
    code: 'invalid',
    message: /whole VM/,
  },
  { name: 'an unknown policy', request: { policy: 'Gold' }, code: 'not-found', message: /Gold.*VM Encryption Policy/ },
  {
    name: 'an unknown disk',
    request: { disks: [{ number: 7, policy: encrypted }] },
    code: 'not-found',
    message: /disks\.0.*no disk 7/,
  },
  {
    name: 'a disk twice',
    request: {
      home: encrypted,
      disks: [
        { number: 0, policy: encrypted },
        { number: 0, policy: encrypted },
      ],
    },
    code: 'invalid',
    message: /disks\.1.*twice/,
  },
  {
    name: 'a disk of a plain VM',
    request: { disks: [{ number: 1, policy: encrypted }] },
    code: 'encryption-order',
    message: /disk 1 would be: encrypt VM Home too/,
  },
  {
    name: 'VM Home while disks are encrypted',
    before: { policy: encrypted },
    request: { home: plain },
    code: 'encryption-order',
    message: /disk 0, disk 1 would be: decrypt them too/,
  },
  {
    name: 'VM Home and one of two disks',
    before: { policy: encrypted },
    request: { home: plain, disks: [{ number: 0, policy: plain }] },
    code: 'encryption-order',
    message: /and disk 1 would be/,
  },
  {
    name: 'both directions',
    before: { home: encrypted, disks: [{ number: 0, policy: encrypted }] },
    request: {
      disks: [
        { number: 0, policy: plain },
        { number: 1, policy: encrypted },
      ],
    },
    code: 'invalid',
    message: /encrypt disk 1 and decrypt disk 0\. Send two/,
  },
  {
    name: 'a provider for a decryption',
    before: { policy: encrypted },
    request: { policy: plain, keyProvider: 'spare' },
    code: 'invalid',
    message: /keyProvider/,
  },
  {
    name: 'an unknown provider',
    request: { policy: encrypted, keyProvider: 'nowhere' },
    code: 'not-found',
    message: /keyProvider.*nowhere/,
  },
  {
    name: 'no privilege to encrypt',
    request: { policy: encrypted },
    without: 'Cryptographer.Encrypt',
    code: 'no-privilege',
    message: /Cryptographer\.Encrypt/,
  },
  {
    name: 'no privilege to decrypt',
    before: { policy: encrypted },
    request: { policy: plain },
    without: 'Cryptographer.Decrypt',
    code: 'no-privilege',
    message: /Cryptographer\.Decrypt/,
  },
  {
    name: 'no privilege to apply policies',
    request: { policy: plain },
    without: 'StorageProfile.Apply',
    code: 'no-privilege',
    message: /StorageProfile\.Apply/,
  },
]

test('what cannot be done is refused before anything happens, with the part and the rule', async (context) => {
  const ready = await World.start(context)
  await ready.plainVm()
  await ready.stop()
  for (const { name, before, request, without, code, message } of refusals) {
    await context.test(name, async (context) => {
      const world = await ready.fork(context)
      if (before !== undefined) await world.ended(await world.work.changePolicy(userWithout(), 'web', before))
      const keyCount = world.kms.keys.size
      const eventCount = (await world.events()).length
      const user = without === undefined ? userWithout() : userWithout(without)
      await assert.rejects(world.work.changePolicy(user, 'web', request), { code, message })
      assert.equal(world.kms.keys.size, keyCount)
      assert.equal((await world.events()).length, eventCount)
      assert.equal((await world.work.showVm('web')).task, null)
    })
  }
})

test('no provider is set up: the error says how to add one', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.process.database.deleteFrom('key_provider').execute()
  await assert.rejects(world.work.changePolicy(userWithout(), 'web', { policy: encrypted }), {
    code: 'no-key-provider',
    message: /key-provider add/,
  })
})
