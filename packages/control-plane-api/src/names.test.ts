import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Check } from 'typebox/value'
import { Name } from './names.ts'

test('a name is one line that shows as it is', () => {
  for (const name of ['a', 'web 1', 'Zürich «1»', '💩', 'نام‌ها', 'o\'hara "x"', '-', 'x'.repeat(80)]) {
    assert.ok(Check(Name, name), name)
  }
  for (const character of [
    '\n',
    '\0',
    '\u001b',
    '\u007f',
    '\u0085',
    '\u009b',
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\u200b',
    '\ufeff',
    '\ud800',
    '/',
    '\\',
  ]) {
    for (const name of [`a${character}b`, character]) assert.ok(!Check(Name, name), JSON.stringify(name))
  }
  for (const name of ['', ' a', 'a ', 'x'.repeat(81)]) assert.ok(!Check(Name, name), JSON.stringify(name))
})
