import assert from 'node:assert/strict'
import { type KeyProvider, KeyProviderError } from '../index.ts'

/** What of `node:test` is needed: steps with names. */
interface Steps {
  test(name: string, step: () => Promise<void>): Promise<void>
}

export interface ExerciseOptions {
  /** Whether the provider takes labels; PyKMIP does not. */
  readonly takesLabels: boolean
  /** Whether a destroyed key's attributes stay; PyKMIP keeps nothing. */
  readonly remembersDestroyed: boolean
  /** Whether it has servers; a native provider has none. */
  readonly hasServers?: boolean
}

/** What every key provider must do; run it against each. The provider needs no keys of its own, and is left as it was. */
export async function exerciseKeyProvider(
  context: Steps,
  provider: KeyProvider,
  options: ExerciseOptions,
): Promise<void> {
  await context.test('a key is made, activated and given, the same each time', async () => {
    const keyId = await provider.createKey()
    assert.equal((await provider.describeKey(keyId))?.state, 'PreActive')
    await provider.activateKey(keyId)
    await provider.activateKey(keyId)
    const description = await provider.describeKey(keyId)
    assert.ok(description !== null)
    const { attributes, ...rest } = description
    assert.deepEqual(rest, { keyId, state: 'Active', objectType: 'SymmetricKey', algorithm: 'AES', lengthBits: 256 })
    assert.deepEqual(
      attributes.find(({ name }) => name === 'Cryptographic Usage Mask'),
      { name: 'Cryptographic Usage Mask', index: 0, type: 'Integer', value: 12 },
    )
    assert.ok(!attributes.some(({ name }) => name === 'Name' || name.startsWith('x-')))
    using one = await provider.getKey(keyId)
    using two = await provider.getKey(keyId)
    assert.equal(one.sizeBytes, 32)
    assert.ok(one.equal(two))
    assertHidden(JSON.stringify(description), one)
    await giveUp(provider, keyId)
  })

  await context.test('two keys are two', async () => {
    const ids = [await provider.createKey(), await provider.createKey()] as const
    assert.notEqual(ids[0], ids[1])
    using one = await provider.getKey(ids[0])
    using two = await provider.getKey(ids[1])
    assert.ok(!one.equal(two))
    for (const keyId of ids) await provider.destroyKey(keyId)
  })

  await context.test('an active key is not destroyed before it is revoked; both can be done twice', async () => {
    const keyId = await provider.createKey()
    await provider.revokeKey(keyId, 'cessation-of-operation')
    await provider.activateKey(keyId)
    await fails(provider.destroyKey(keyId), 'denied', provider, keyId)
    await provider.revokeKey(keyId, 'cessation-of-operation', 'not needed any more')
    await provider.revokeKey(keyId, 'unspecified')
    assert.equal((await provider.describeKey(keyId))?.state, 'Deactivated')
    await fails(provider.activateKey(keyId), undefined, provider, keyId)
    await provider.destroyKey(keyId)
    await provider.destroyKey(keyId)
    await assertGone(provider, keyId, 'Destroyed')
  })

  await context.test('a compromised key says so', async () => {
    const keyId = await provider.createKey()
    await provider.revokeKey(keyId, 'key-compromise')
    await provider.revokeKey(keyId, 'key-compromise')
    assert.equal((await provider.describeKey(keyId))?.state, 'Compromised')
    await provider.destroyKey(keyId)
    await assertGone(provider, keyId, 'DestroyedCompromised')
  })

  await context.test('a key that nobody has is missing', async () => {
    const keyId = '00000000-0000-4000-8000-000000000000'
    assert.equal(await provider.describeKey(keyId), null)
    await fails(provider.getKey(keyId), 'key-missing', provider, keyId)
    await fails(provider.activateKey(keyId), 'key-missing', provider, keyId)
    await fails(provider.revokeKey(keyId, 'unspecified'), 'key-missing', provider, keyId)
    await fails(provider.labelKey(keyId, { 'x-Vendor': 'a' }), undefined, provider, keyId)
    await provider.destroyKey(keyId)
  })

  await context.test('keys are listed, page by page', async () => {
    const made = [await provider.createKey(), await provider.createKey(), await provider.createKey()]
    const all = (await provider.listKeys({ limit: 1000 })).map(({ keyId }) => keyId)
    assert.ok(made.every((keyId) => all.includes(keyId)))
    const pages: string[] = []
    for (let offset = 0; offset < all.length; offset += 2) {
      const page = await provider.listKeys({ offset, limit: 2 })
      assert.ok(page.every(({ objectType }) => objectType === 'SymmetricKey'))
      pages.push(...page.map(({ keyId }) => keyId))
    }
    assert.deepEqual(pages.toSorted(), all.toSorted())
    assert.deepEqual(await provider.listKeys({ offset: all.length, limit: 10 }), [])
    await assert.rejects(provider.listKeys({ limit: 0 }), RangeError)
    await assert.rejects(provider.listKeys({ limit: 1001 }), RangeError)
    for (const keyId of made) await provider.destroyKey(keyId)
  })

  await context.test('labels are taken, or refused as labels and nothing else', async () => {
    const keyId = await provider.createKey()
    await provider.labelKey(keyId, {})
    await assert.rejects(provider.labelKey(keyId, { Name: 'a' }), RangeError)
    await assert.rejects(provider.labelKey(keyId, { 'y-Name': 'a' }), RangeError)
    const labels = { 'x-Vendor': 'Cryptvisor', 'x-Product': 'Cryptvisor', 'x-Product_Version': '1.0 «ä»' }
    if (options.takesLabels) {
      await provider.labelKey(keyId, labels)
      await provider.activateKey(keyId)
      await provider.labelKey(keyId, { ...labels, 'x-Name': 'web' })
      await provider.labelKey(keyId, { 'x-Name': 'web 2' })
      assert.deepEqual(await labelsOf(provider, keyId), { ...labels, 'x-Name': 'web 2' })
    } else {
      await fails(provider.labelKey(keyId, labels), 'labels-refused', provider, keyId)
      await provider.activateKey(keyId)
      assert.deepEqual(await labelsOf(provider, keyId), {})
    }
    ;(await provider.getKey(keyId))[Symbol.dispose]()
    await giveUp(provider, keyId)
  })

  await context.test('a probe says that all is well, tells of its key, and leaves nothing', async () => {
    const before = await activeKeys(provider)
    const told: string[] = []
    const status = await provider.probe({
      made: async (keyId) => void told.push(`made ${keyId}`),
      gone: async (keyId) => void told.push(`gone ${keyId}`),
    })
    const keyId = told[0]?.replace('made ', '')
    // Without a server there is nothing to make a key at: one is derived and forgotten.
    assert.deepEqual(told, options.hasServers === false ? [] : [`made ${keyId}`, `gone ${keyId}`])
    assert.equal(status.health, options.takesLabels ? 'green' : 'yellow', status.reason)
    if (!options.takesLabels) assert.match(status.reason, /labels are refused/)
    assert.equal(status.servers.length > 0, options.hasServers ?? true)
    for (const server of status.servers) {
      assert.ok(server.isReachable && server.isTrusted && server.health === 'green')
      assert.match(server.protocolVersion ?? '', /^1\.[0-4]$/)
      assert.ok(server.protocolVersions.includes(server.protocolVersion ?? ''))
      assert.ok(server.vendorIdentification !== null && server.vendorIdentification !== '')
      assert.ok(server.roundTripMs !== null)
    }
    assert.deepEqual(await activeKeys(provider), before)
  })

  async function assertGone(kms: KeyProvider, keyId: string, state: string): Promise<void> {
    const description = await kms.describeKey(keyId)
    assert.equal(description?.state, options.remembersDestroyed ? state : undefined)
    await fails(kms.getKey(keyId), 'key-missing', kms, keyId)
  }
}

async function fails(
  promise: Promise<unknown>,
  code: KeyProviderError['code'] | undefined,
  provider: KeyProvider,
  keyId: string,
): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof KeyProviderError, String(error))
    if (code !== undefined) assert.equal(error.code, code, error.message)
    assert.deepEqual([error.providerId, error.keyId], [provider.id, keyId])
    assert.ok(error.message.includes(provider.id) && error.message.includes(keyId), error.message)
    return true
  })
}

async function giveUp(provider: KeyProvider, keyId: string): Promise<void> {
  await provider.revokeKey(keyId, 'cessation-of-operation')
  await provider.destroyKey(keyId)
}

async function activeKeys(provider: KeyProvider): Promise<string[]> {
  const keys = await provider.listKeys({ limit: 1000 })
  return keys.filter(({ state }) => state === 'Active' || state === 'PreActive').map(({ keyId }) => keyId)
}

async function labelsOf(provider: KeyProvider, keyId: string): Promise<Record<string, unknown>> {
  const description = await provider.describeKey(keyId)
  const labels = (description?.attributes ?? []).filter(({ name }) => name.startsWith('x-'))
  for (const { index, type } of labels) assert.deepEqual([index, type], [0, 'TextString'])
  return Object.fromEntries(labels.map(({ name, value }) => [name, value]))
}

/** The key must not be in a text, in hexadecimal or in base64. */
function assertHidden(text: string, key: { expose(use: (bytes: Uint8Array) => void): void }): void {
  key.expose((bytes) => {
    for (const form of ['hex', 'base64'] as const) assert.ok(!text.includes(Buffer.from(bytes).toString(form)))
  })
}
