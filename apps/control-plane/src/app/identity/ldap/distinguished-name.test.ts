import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isBelow, normalDn, ownName, parseDn } from './distinguished-name.ts'

test('DNs of one entry have one form, however they are written', () => {
  const same = [
    ['uid=alice,ou=people,dc=example,dc=org', 'UID = Alice , OU=People;dc=EXAMPLE, dc=org'],
    ['cn=a\\,b,dc=x', 'cn=a\\2Cb,dc=x'],
    ['cn=zo\\c3\\ab,dc=x', 'CN=Zoë,dc=x'],
    ['cn=a+sn=b,dc=x', 'SN=b + CN=A,dc=x'],
    ['cn=\\ a\\ ,dc=x', 'cn=\\20a\\20,dc=x'],
    ['2.5.4.3=a,dc=x', '2.5.4.3=A,dc=x'],
  ] as const
  for (const [one, other] of same) {
    assert.notEqual(normalDn(one), null, one)
    assert.equal(normalDn(one), normalDn(other))
  }
  assert.notEqual(normalDn('cn=a\\,dc\\=x,dc=y'), normalDn('cn=a,dc=x,dc=y'))
})

test('what is no DN is none', () => {
  for (const text of [
    '',
    ' ',
    'alice',
    'cn',
    'cn=',
    'cn=a,',
    ',cn=a',
    'cn=a,,dc=x',
    'cn=a\\',
    'cn=a\\zz',
    'cn=\\ff',
    '=a',
  ]) {
    assert.equal(parseDn(text), null, text)
  }
  assert.equal(parseDn('cn=#04024869'), null)
  assert.equal(parseDn(`cn=${'a'.repeat(3000)}`), null)
})

test('below is below, and not beside, and not the same', () => {
  const base = 'ou=people,dc=example,dc=org'
  assert.ok(isBelow('uid=alice,OU=People,dc=example,dc=org', base))
  assert.ok(isBelow('uid=alice,ou=a,ou=people,dc=example,dc=org', base))
  for (const other of [
    base,
    'uid=alice,xou=people,dc=example,dc=org',
    'uid=alice\\,ou=people,dc=example,dc=org',
    'x',
  ]) {
    assert.equal(isBelow(other, base), false, other)
  }
})

test('the own name of an entry is its first value, where that is the one of this kind', () => {
  assert.equal(ownName('cn=VM\\, Operators,cn=groups,dc=x', 'cn'), 'VM, Operators')
  assert.equal(ownName('cn=a+sn=b,dc=x', 'cn'), null)
  assert.equal(ownName('uid=a,dc=x', 'cn'), null)
})

test('any value that is escaped as RFC 4514 says is read back; no input is too odd to be read or refused', () => {
  const value = fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }).filter((text) => text.isWellFormed())
  const escapeAll = (text: string) =>
    [...Buffer.from(text, 'utf8')].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')
  fc.assert(
    fc.property(value, (text) => {
      assert.equal(ownName(`cn=${escapeAll(text)},dc=x`, 'cn'), text)
      const normal = normalDn(`cn=${escapeAll(text)},dc=x`)
      assert.ok(normal !== null)
      assert.equal(normalDn(normal), normal)
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      const normal = normalDn(text)
      if (normal !== null) assert.equal(normalDn(normal), normal)
    }),
  )
})
