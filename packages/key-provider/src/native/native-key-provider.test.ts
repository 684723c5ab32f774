import assert from 'node:assert/strict'
import { hkdfSync } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { exerciseKeyProvider } from '../testing/exercise.ts'
import { NativeKeyProvider } from './native-key-provider.ts'
import type { NativeKey, NativeKeyStore } from './native-key-store.ts'

/** Derivation keys and records in memory. */
class MemoryStore implements NativeKeyStore {
  readonly keys = new Map<string, NativeKey>()
  readonly derivationKeys = new Map<number, Uint8Array>([[1, Buffer.alloc(32, 7)]])
  generation = 1
  isBackedUp = true
  restored = false

  async current() {
    return { generation: this.generation, isBackedUp: this.isBackedUp }
  }
  async derivationKey(generation: number) {
    const bytes = this.derivationKeys.get(generation)
    return bytes === undefined ? null : Secret.from(Uint8Array.from(bytes))
  }
  async mayLackRecords() {
    return this.restored
  }
  async insert(key: NativeKey) {
    this.keys.set(key.keyId, key)
  }
  async find(keyId: string) {
    return this.keys.get(keyId) ?? null
  }
  async change(keyId: string, from: NativeKey['state'], change: Partial<NativeKey>) {
    const key = this.keys.get(keyId)
    if (key?.state !== from) return false
    this.keys.set(keyId, { ...key, ...change })
    return true
  }
  async list(offset: number, limit: number) {
    return [...this.keys.values()].slice(offset, offset + limit)
  }
}

function open(id = 'nkp') {
  const store = new MemoryStore()
  return { store, provider: new NativeKeyProvider({ id, store, now: () => 1_700_000_000_000 }) }
}

function bytesOf(secret: Secret): string {
  return secret.expose((bytes) => Buffer.from(bytes).toString('hex'))
}

test('the exercise of all key providers', async (context) => {
  await exerciseKeyProvider(context, open().provider, {
    takesLabels: true,
    remembersDestroyed: true,
    hasServers: false,
  })
})

test('a key is HKDF-SHA-256 of the derivation key for version, provider and key ID', async () => {
  const { provider } = open()
  const keyId = await provider.createKey()
  assert.match(keyId, /^1-[0-9a-f]{32}-[0-9a-f]{16}$/)
  using key = await provider.getKey(keyId)
  const info = `cryptvisor-native-key/1/nkp/${keyId}`
  const expected = Buffer.from(hkdfSync('sha256', Buffer.alloc(32, 7), '', info, 32)).toString('hex')
  assert.equal(bytesOf(key), expected)
  const other = open()
  other.store.derivationKeys.set(1, Buffer.alloc(32, 8))
  other.store.keys.set(keyId, recordOf(keyId))
  await assert.rejects(other.provider.getKey(keyId), { code: 'key-missing' }, 'another derivation key never made it')
})

test('nothing is made before the backup, and what was made before goes on', async () => {
  const { provider, store } = open()
  const keyId = await provider.createKey()
  store.generation = 2
  store.derivationKeys.set(2, Buffer.alloc(32, 9))
  store.isBackedUp = false
  await assert.rejects(provider.createKey(), {
    code: 'not-backed-up',
    message: /generation 2.*key-provider backup nkp/,
  })
  assert.equal(store.keys.size, 1)
  using _key = await provider.getKey(keyId)
  assert.deepEqual((await provider.probe()).health, 'yellow')
  store.isBackedUp = true
  assert.match(await provider.createKey(), /^2-/)
})

test('a destroyed key is never derived again', async () => {
  const { provider } = open()
  const keyId = await provider.createKey()
  await provider.destroyKey(keyId)
  await assert.rejects(provider.getKey(keyId), { code: 'key-missing' })
  await assert.rejects(provider.activateKey(keyId), { code: 'key-unusable' })
  assert.equal((await provider.describeKey(keyId))?.state, 'Destroyed')
})

test('a restored provider knows its own keys by their IDs, and no others', async () => {
  const before = open()
  const keyId = await before.provider.createKey()
  using key = await before.provider.getKey(keyId)
  const { provider, store } = open()
  await assert.rejects(provider.getKey(keyId), { code: 'key-missing' }, 'only a restored one')
  store.restored = true
  using same = await provider.getKey(keyId)
  assert.ok(same.equal(key))
  assert.equal((await provider.describeKey(keyId))?.state, 'Active')
  const forged = `${keyId.slice(0, -1)}${keyId.endsWith('0') ? '1' : '0'}`
  for (const id of [forged, `3${keyId.slice(1)}`, keyId.toUpperCase(), 'key-1', '']) {
    await assert.rejects(provider.getKey(id), { code: 'key-missing' }, id)
  }
})

test('a generation that is gone takes its keys with it', async () => {
  const { provider, store } = open()
  const keyId = await provider.createKey()
  store.derivationKeys.delete(1)
  await assert.rejects(provider.getKey(keyId), { code: 'key-missing', message: /generation 1/ })
  assert.equal((await provider.probe()).health, 'red')
})

function recordOf(keyId: string): NativeKey {
  return {
    keyId,
    state: 'Active',
    labels: {},
    createdAt: 0,
    activatedAt: 0,
    revokedAt: null,
    revocation: null,
    destroyedAt: null,
  }
}
