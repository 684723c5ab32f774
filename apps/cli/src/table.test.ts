import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printable } from './printable.ts'
import { sheet, table } from './table.ts'

test('columns are aligned, without borders and trailing blanks', () => {
  assert.equal(
    table(
      ['NAME', 'SIZE'],
      [
        ['a-long-name', 1],
        ['b', null],
      ],
    ),
    'NAME         SIZE\na-long-name  1\nb            -\n',
  )
  assert.equal(table(['NAME', 'SIZE'], []), 'NAME  SIZE\n')
  assert.equal(
    sheet([
      ['name', 'db1'],
      ['a key', ''],
    ]),
    'name:   db1\na key:  -\n',
  )
})

test('a colour takes no room', () => {
  const green = { painted: '\u001b[32myes\u001b[39m' }
  const lines = table(['A', 'B'], [[green, 'x']]).split('\n')
  assert.equal(lines[1], `${green.painted}  x`)
})

test('nothing that comes from elsewhere moves the cursor or hides', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u202ed\u2028e\u009b'), 'a\\u001b[2Jb\\u000ac\\u202ed\\u2028e\\u009b')
  assert.equal(printable('Größe 漢字 🙂'), 'Größe 漢字 🙂')
  assert.ok(!table(['A'], [['x\ny\u001b']]).includes('\u001b'))
  assert.equal(table(['A'], [['x\ny']]).split('\n').length, 3)
})
