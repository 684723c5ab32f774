import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret } from '@cryptvisor/secret'
import { deriveKey, type KeyDerivation } from './key-derivation.ts'
import { LuksError } from './luks-error.ts'
import { defaultWorkLimits, WorkBudget } from './work-limits.ts'

const hexOf = (key: Secret) => key.expose((bytes) => Buffer.from(bytes).toString('hex'))

test('PBKDF2 gives what RFC 6070 and RFC 7914 publish', async () => {
  for (const [passphrase, salt, iterations, hash, expected] of [
    ['password', 'salt', 4096, 'sha1', '4b007901b765489abead49d926f721d065a429c1'],
    ['passwd', 'salt', 1, 'sha256', '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc'],
  ] as const) {
    using secret = Secret.from(new TextEncoder().encode(passphrase))
    const derivation = { type: 'pbkdf2', hash, iterations, salt: new TextEncoder().encode(salt) } as const
    using key = await deriveKey(secret, derivation, expected.length / 2)
    assert.equal(hexOf(key), expected)
  }
})

test('a derivation that OpenSSL refuses is told, without a byte of the passphrase', async () => {
  using secret = Secret.from(new TextEncoder().encode('correct horse'))
  const impossible: KeyDerivation = {
    type: 'argon2id',
    passes: 1,
    memoryKib: 1,
    parallelism: 4,
    salt: new Uint8Array(16),
  }
  await assert.rejects(deriveKey(secret, impossible, 32), (error) => {
    assert.ok(error instanceof LuksError)
    assert.equal(error.code, 'key-derivation-failed')
    assert.match(error.message, /argon2id with 1 KiB/)
    assert.doesNotMatch(inspect(error), /correct horse/)
    return true
  })
})

test('a budget adds up what is taken, and takes nothing where it refuses', () => {
  const salt = new Uint8Array(16)
  const pbkdf2 = (iterations: number): KeyDerivation => ({ type: 'pbkdf2', hash: 'sha256', iterations, salt })
  const argon2 = (passes: number, memoryKib: number): KeyDerivation => ({
    ...{ type: 'argon2id', passes, memoryKib, parallelism: 1, salt },
  })
  const budget = new WorkBudget({ iterationsMax: 100, argon2MemoryKibMax: 64, argon2WorkKibMax: 200 })
  assert.equal(budget.refuse(pbkdf2(60)), null)
  assert.match(budget.refuse(pbkdf2(41)) ?? '', /41 PBKDF2 iterations/)
  assert.equal(budget.refuse(pbkdf2(40)), null)
  assert.match(budget.refuse(pbkdf2(1)) ?? '', /more than is left of 100/)
  assert.match(budget.refuse(argon2(1, 65)) ?? '', /65 KiB of Argon2 memory are more than 64/)
  assert.equal(budget.refuse(argon2(3, 64)), null)
  assert.match(budget.refuse(argon2(1, 9)) ?? '', /1 Argon2 passes over 9 KiB/)
  assert.equal(budget.refuse(argon2(1, 8)), null)
})

test('the default limits let through what formatters make by default, and nothing that takes hours', () => {
  const salt = new Uint8Array(16)
  const budget = () => new WorkBudget(defaultWorkLimits)
  assert.equal(budget().refuse({ type: 'argon2id', passes: 4, memoryKib: 1_048_576, parallelism: 4, salt }), null)
  assert.equal(budget().refuse({ type: 'pbkdf2', hash: 'sha256', iterations: 10_000_000, salt }), null)
  assert.ok(budget().refuse({ type: 'argon2id', passes: 4, memoryKib: 4_194_304, parallelism: 4, salt }) !== null)
  assert.ok(budget().refuse({ type: 'argon2id', passes: 1000, memoryKib: 1_048_576, parallelism: 4, salt }) !== null)
})
