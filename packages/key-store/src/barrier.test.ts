import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { Barrier, type Context, MemoryPhysical } from './index.ts'

const contexts: fc.Arbitrary<Context> = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.oneof(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.maxSafeInteger()),
  { noNullPrototype: true, maxKeys: 5 },
)

async function barrierWithKey(): Promise<{ barrier: Barrier; physical: MemoryPhysical; rootKey: Secret }> {
  const physical = new MemoryPhysical()
  const rootKey = Secret.random(32)
  return { barrier: await Barrier.initialize(physical, rootKey), physical, rootKey }
}

test('what was sealed opens with the same context and no other', async () => {
  const { barrier } = await barrierWithKey()
  fc.assert(
    fc.property(contexts, contexts, fc.uint8Array({ maxLength: 100 }), (context, other, content) => {
      using secret = Secret.from(Uint8Array.from(content))
      const sealed = barrier.seal(context, secret)
      // The order of the fields does not count.
      using again = barrier.unseal(Object.fromEntries(Object.entries(context).toReversed()), sealed)
      assert.ok(again.equal(secret))
      fc.pre(!sameContext(context, other))
      assert.throws(() => barrier.unseal(other, sealed), { code: 'value-damaged' })
    }),
    { numRuns: 200 },
  )
})

test('contexts that read alike are not alike', async () => {
  const { barrier } = await barrierWithKey()
  using secret = Secret.random(32)
  const pairs: readonly (readonly [Context, Context])[] = [
    [{ a: '1' }, { a: 1 }],
    [{ a: 'b', c: 'd' }, { a: 'b","c":"d' }],
    [{ ab: 'c' }, { a: 'bc' }],
    [{}, { '': '' }],
  ]
  for (const [one, other] of pairs) {
    assert.throws(() => barrier.unseal(other, barrier.seal(one, secret)), { code: 'value-damaged' })
  }
  for (const bad of [1.5, Number.NaN, 2 ** 53, '\ud800']) {
    assert.throws(() => barrier.seal({ bad }, secret), { code: 'bad-argument' })
  }
})

test('one changed byte, one byte less, one more: refused', async () => {
  const { barrier } = await barrierWithKey()
  using secret = Secret.random(33)
  const sealed = barrier.seal({ id: 'x' }, secret)
  for (const at of sealed.keys()) {
    const changed = Uint8Array.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    // A changed database key id names a key that is not there.
    const code = at >= 1 && at <= 4 ? 'database-key-missing' : 'value-damaged'
    assert.throws(() => barrier.unseal({ id: 'x' }, changed), { code }, `byte ${at}`)
    assert.throws(() => barrier.unseal({ id: 'x' }, sealed.subarray(0, at)), { code: 'value-damaged' }, `cut at ${at}`)
  }
  assert.throws(() => barrier.unseal({ id: 'x' }, Buffer.concat([sealed, Uint8Array.of(0)])), { code: 'value-damaged' })
})

test('sealing twice gives different bytes, none of them the secret', async () => {
  const { barrier } = await barrierWithKey()
  using secret = Secret.from(new Uint8Array(64).fill(0x61))
  const [one, other] = [barrier.seal({}, secret), barrier.seal({}, secret)]
  assert.notDeepEqual(one, other)
  assert.ok(!Buffer.from(one).includes('aaaa'))
})

test('after a rotation old values open and new ones are under the new key', async () => {
  const { barrier, physical, rootKey } = await barrierWithKey()
  using secret = Secret.random(32)
  const old = barrier.seal({ id: 'x' }, secret)
  assert.ok(!barrier.isOutdated(old))
  await barrier.rotate(physical, rootKey)
  const fresh = barrier.seal({ id: 'x' }, secret)
  using reopened = await Barrier.open(physical, rootKey)
  for (const each of [barrier, reopened]) {
    assert.ok(each.isOutdated(old))
    assert.ok(!each.isOutdated(fresh))
    for (const sealed of [old, fresh]) {
      using again = each.unseal({ id: 'x' }, sealed)
      assert.ok(again.equal(secret))
    }
  }
})

test('a database key that could not be written is wiped', async () => {
  class Full extends MemoryPhysical {
    isFull = true
    override async write(...entry: Parameters<MemoryPhysical['write']>): Promise<void> {
      if (this.isFull) throw new Error('no space')
      await super.write(...entry)
    }
  }
  const physical = new Full()
  const made: Secret[] = []
  const random = (sizeBytes: number): Secret => {
    made.push(Secret.random(sizeBytes))
    return made.at(-1) ?? assert.fail()
  }
  using rootKey = Secret.random(32)
  await assert.rejects(Barrier.initialize(physical, rootKey, random), /no space/)
  assert.ok(made.length > 0 && made.every((secret) => secret.wiped))
  physical.isFull = false
  using barrier = await Barrier.initialize(physical, rootKey, random)
  using secret = Secret.random(32)
  const sealed = barrier.seal({}, secret)
  physical.isFull = true
  made.length = 0
  await assert.rejects(barrier.rotate(physical, rootKey), /no space/)
  assert.ok(made.length > 0 && made.every((each) => each.wiped))
  assert.ok(!barrier.isOutdated(sealed), 'the old key is still in use')
  using again = barrier.unseal({}, sealed)
  assert.ok(again.equal(secret))
})

test('a barrier that was disposed of seals and opens nothing', async () => {
  const { barrier } = await barrierWithKey()
  using secret = Secret.random(32)
  const sealed = barrier.seal({}, secret)
  barrier[Symbol.dispose]()
  assert.throws(() => barrier.unseal({}, sealed), /wiped/)
  assert.throws(() => barrier.seal({}, secret), /wiped/)
})

test('the wrong root key, a damaged keyring and a missing one are told apart', async () => {
  const { barrier, physical, rootKey } = await barrierWithKey()
  using _barrier = barrier
  using wrong = Secret.random(32)
  await assert.rejects(Barrier.open(physical, wrong), { code: 'wrong-root-key' })
  await assert.rejects(Barrier.open(new MemoryPhysical(), rootKey), { code: 'keyring-missing' })
  await assert.rejects(Barrier.initialize(physical, rootKey), { code: 'keyring-exists' })
  const keyring = await physical.read('keyring', 'keyring')
  assert.ok(keyring !== null)
  for (const at of keyring.keys()) {
    const changed = Uint8Array.from(keyring)
    changed[at] = (changed[at] ?? 0) ^ 0x80
    await physical.write('keyring', 'keyring', changed)
    const code = at >= 1 && at <= 16 ? 'wrong-root-key' : 'keyring-damaged'
    await assert.rejects(Barrier.open(physical, rootKey), { code }, `byte ${at}`)
  }
  await physical.write('keyring', 'keyring', keyring.subarray(0, 5))
  await assert.rejects(Barrier.open(physical, rootKey), { code: 'keyring-damaged' })
})

function sameContext(one: Context, other: Context): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
}
