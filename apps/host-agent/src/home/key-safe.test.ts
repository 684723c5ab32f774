import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { EncryptionAuthority, KeyReference } from '@cryptvisor/host-agent-api'
import { KeyRecordError, type NamedKek, rewrapDek } from '@cryptvisor/key-record'
import { Secret } from '@cryptvisor/secret'
import { NodeStorage } from '@cryptvisor/storage'
import { temporaryFolder } from '@cryptvisor/testkit'
import { AgentError } from '../agent-error.ts'
import { Folder } from '../datastore/folder.ts'
import { kidOf } from '../key-cache.ts'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { newHomeKey, openKeySafe, openNextKeySafe, promoteKeySafe, writeKeySafe, writeNextKeySafe } from './key-safe.ts'

const oldKey: KeyReference = { provider: 'kms', keyId: 'old' }
const newKey: KeyReference = { provider: 'kms', keyId: 'new' }

/** What the control plane knows before and after the next key safe is committed. */
const before: EncryptionAuthority = { keys: [oldKey], generation: 1, luksUuid: null }
const after: EncryptionAuthority = { keys: [newKey], generation: 2, luksUuid: null }

/** A folder with a key safe under the old KEK and the next one under the new. */
async function twoSafes(context: TestContext) {
  const folder = await Folder.open(new NodeStorage(descriptorTools), temporaryFolder(context), async () => {})
  assert.ok(folder !== null)
  const vmId = randomUUID()
  const [oldKek, newKek] = [oldKey, newKey].map((key): NamedKek => ({ kid: kidOf(key), kek: Secret.random(32) }))
  assert.ok(oldKek !== undefined && newKek !== undefined)
  const dek = Secret.random(32)
  context.after(async () => {
    for (const secret of [oldKek.kek, newKek.kek, dek]) secret[Symbol.dispose]()
    await folder[Symbol.asyncDispose]()
  })
  const first = await newHomeKey(vmId, oldKek, dek)
  await writeKeySafe(folder, vmId, first, oldKek)
  const { record, generation } = await rewrapDek(first, [newKek])
  await writeNextKeySafe(folder, vmId, { dek, record, header: { ...first.header, generation } }, newKek)
  const opens = async (authority: EncryptionAuthority, keks: readonly NamedKek[]) => {
    using key = await openKeySafe(folder, vmId, authority, keks)
    assert.ok(key.dek.equal(dek))
    return key.header.generation
  }
  return { folder, vmId, oldKek, newKek, opens }
}

test('between a commit and its end the key safe that opens is the one that the control plane means', async (context) => {
  const { opens, oldKek, newKek } = await twoSafes(context)
  for (const keks of [[oldKek, newKek], [oldKek]]) assert.equal(await opens(before, keks), 1)
  for (const keks of [[oldKek, newKek], [newKek]]) assert.equal(await opens(after, keks), 2)
})

test('no key safe opens with less than the control plane demands', async (context) => {
  const { opens, oldKek, newKek } = await twoSafes(context)
  await assert.rejects(opens(before, [newKek]), { code: 'key-not-held' })
  await assert.rejects(opens(after, [oldKek]), { code: 'foreign-kid' })
  await assert.rejects(opens({ ...before, generation: 2 }, [oldKek, newKek]), KeyRecordError)
  await assert.rejects(opens({ ...after, generation: 3 }, [oldKek, newKek]), KeyRecordError)
})

test('the next key safe takes the place of the old one, once and for all', async (context) => {
  const { folder, vmId, opens, oldKek, newKek } = await twoSafes(context)
  const old = join(temporaryFolder(context), 'old')
  copyFileSync(join(folder.path, 'vm.keysafe'), old)
  for (const _ of ['first', 'again']) {
    await promoteKeySafe(folder)
    assert.deepEqual(await folder.names(), ['vm.keysafe'])
    assert.equal(await opens(after, [oldKek, newKek]), 2)
  }
  assert.equal(await openNextKeySafe(folder, vmId, after, [newKek]), null)
  copyFileSync(old, join(folder.path, 'vm.keysafe'))
  await assert.rejects(opens(after, [oldKek, newKek]), KeyRecordError)
})

test('a VM without any key safe says so', async (context) => {
  const { folder, opens, oldKek } = await twoSafes(context)
  await folder.remove('vm.keysafe')
  await assert.rejects(opens(before, [oldKek]), AgentError)
  await folder.remove('vm.keysafe.next')
  await assert.rejects(opens(before, [oldKek]), { code: 'file-missing' })
})
