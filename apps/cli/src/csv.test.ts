import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csv } from './csv.ts'

test('cells are quoted where they must be, and none is a formula', () => {
  assert.equal(
    csv([
      ['a', 'b'],
      ['1,2', 'say "no"'],
    ]),
    'a,b\r\n"1,2","say ""no"""\r\n',
  )
  assert.equal(csv([['=1+1', '@sum', '-2', 'a\nb']]), `'=1+1,'@sum,'-2,"a\nb"\r\n`)
})
