import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { addKeySlot } from './add-key-slot.ts'
import { mergeKey, splitKey } from './af-splitter.ts'
import { createHeader } from './create-header.ts'
import { stripeCount } from './header-layout.ts'
import { unlock } from './key-slot.ts'
import { passphraseOf } from './passphrase.ts'

const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'

test('unlock gives back the volume key, to the right passphrase alone', async () => {
  using volumeKey = Secret.random(64)
  using dek = Secret.random(32)
  using passphrase = passphraseOf(dek)
  const bytes = await createHeader({ volumeKey, passphrase, uuid })
  using found = await unlock(bytes, passphrase)
  assert.ok(found.equal(volumeKey))
  await assert.rejects(unlock(bytes, dek), { name: 'LuksError', code: 'wrong-passphrase' })
})

test('whether or not a volume opens, no key outlives it but the one that is given', async (context) => {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  using other = Secret.random(64)
  const bytes = await createHeader({ volumeKey, passphrase, uuid })
  const from = context.mock.method(Secret, 'from')
  using found = await unlock(bytes, passphrase)
  await assert.rejects(unlock(bytes, other), { code: 'wrong-passphrase' })
  const made = from.mock.calls.flatMap(({ result }) => result ?? [])
  assert.equal(made.length, 8)
  assert.deepEqual(
    made.filter(({ wiped }) => !wiped),
    [found],
  )
  assert.ok(found.equal(volumeKey))
})

test('two headers of one volume key share no byte of salt, digest or key material', async () => {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  const [one, other] = [
    Buffer.from(await createHeader({ volumeKey, passphrase, uuid })),
    Buffer.from(await createHeader({ volumeKey, passphrase, uuid })),
  ]
  for (const [start, end] of [
    [112, 132],
    [132, 164],
    [216, 248],
    [4096, 4096 + 32],
    [4096 + 255_968, 4096 + 256_000],
  ] as const) {
    assert.ok(!one.subarray(start, end).equals(other.subarray(start, end)), `bytes ${start} to ${end}`)
  }
})

test('the volume key, the passphrase and the slot key appear nowhere in a header', async () => {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  const bytes = Buffer.from(await createHeader({ volumeKey, passphrase, uuid }))
  for (const secret of [volumeKey, passphrase]) {
    secret.expose((key) => {
      for (let offset = 0; offset + 8 <= key.length; offset += 8) {
        assert.equal(bytes.indexOf(key.subarray(offset, offset + 8)), -1)
      }
    })
  }
})

test('damaged key material or a damaged digest opens with no passphrase', async () => {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  const valid = await createHeader({ volumeKey, passphrase, uuid })
  for (const offset of [4096, 4096 + 128_000, 4096 + 255_999, 112, 132, 216]) {
    const bytes = Uint8Array.from(valid)
    bytes[offset] = (bytes[offset] ?? 0) ^ 1
    await assert.rejects(unlock(bytes, passphrase), { code: 'wrong-passphrase' }, `offset ${offset}`)
  }
})

test('a volume without an active slot, or cut before its payload, says so', async () => {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  const bytes = Buffer.from(await createHeader({ volumeKey, passphrase, uuid }))
  await assert.rejects(unlock(bytes.subarray(0, bytes.length - 1), passphrase), { code: 'truncated' })
  bytes.writeUInt32BE(0x0000_dead, 208)
  await assert.rejects(unlock(bytes, passphrase), { code: 'no-active-slot' })
})

test('the AF splitter inverts, for every hash and for sizes that no hash divides', () => {
  for (const hash of ['sha1', 'sha256', 'sha512'] as const) {
    for (const sizeBytes of [32, 64]) {
      using key = Secret.random(sizeBytes)
      using split = splitKey(key, hash)
      assert.equal(split.sizeBytes, sizeBytes * stripeCount)
      using merged = mergeKey(split, sizeBytes, hash)
      assert.ok(merged.equal(key), `${hash}, ${sizeBytes} bytes`)
    }
  }
})

test('the passphrase of a DEK is its bytes in lower-case hexadecimal', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  const expected = Buffer.from(bytes).toString('hex')
  using dek = Secret.from(bytes)
  using passphrase = passphraseOf(dek)
  assert.equal(
    passphrase.expose((text) => Buffer.from(text).toString('latin1')),
    expected,
  )
})

test('a caller that knows its own iterations does no work for more', async () => {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.random(64)
  const bytes = await createHeader({ volumeKey, passphrase, uuid })
  const fields = Buffer.from(bytes.buffer)
  using found = await unlock(bytes, passphrase, 1000)
  assert.ok(found.equal(volumeKey))
  fields.writeUInt32BE(1001, 208 + 4)
  await assert.rejects(unlock(bytes, passphrase, 1000), { code: 'no-active-slot' })
  fields.writeUInt32BE(1000, 208 + 4)
  fields.writeUInt32BE(1001, 164)
  await assert.rejects(unlock(bytes, passphrase, 1000), { code: 'bad-iterations' })
  await assert.rejects(unlock(bytes, passphrase), { code: 'wrong-passphrase' })
})

test('each key slot tried costs one key of its own and one digest, and none is tried after the right one', async (context) => {
  using volumeKey = Secret.random(64)
  const passphrases = [0, 1, 2].map(() => Secret.random(64))
  const [first, second, third] = passphrases
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  let bytes = await createHeader({ volumeKey, passphrase: first, uuid })
  for (const passphrase of [second, third]) ({ bytes } = await addKeySlot(bytes, volumeKey, passphrase))
  const from = context.mock.method(Secret, 'from')
  for (const [index, passphrase] of passphrases.entries()) {
    from.mock.resetCalls()
    using found = await unlock(bytes, passphrase)
    assert.ok(found.equal(volumeKey))
    // Slot key, split key, candidate and its digest.
    assert.equal(from.mock.callCount(), 4 * (index + 1))
  }
})
