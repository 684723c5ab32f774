import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashPassword, verifyPassword } from './password.ts'

test('a password is recognized, another one is not, and two hashes of one differ', async () => {
  const stored = await hashPassword('correct horse battery')
  assert.match(stored, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.ok(await verifyPassword('correct horse battery', stored))
  assert.ok(!(await verifyPassword('correct horse batterz', stored)))
  assert.notEqual(await hashPassword('correct horse battery'), stored)
})

test('a hash that another program made is understood (test.c of the Argon2 reference implementation)', async () => {
  const stored = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  assert.ok(await verifyPassword('password', stored))
  assert.ok(!(await verifyPassword('passwort', stored)))
})

test('a password is the same composed and decomposed', async () => {
  assert.ok(await verifyPassword('a\u0308 long password', await hashPassword('\u00e4 long password')))
})

test('what is no such hash is a fault, not a mismatch', async () => {
  for (const stored of [
    '',
    'argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA',
    '$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ]) {
    await assert.rejects(verifyPassword('x', stored), /not Argon2id/)
  }
})
