import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csvRow } from './csv.ts'

test('cells are quoted where they must be, and none is a formula', () => {
  assert.equal(csvRow(['1,2', 'say "no"', 'plain']), '"1,2","say ""no""",plain\r\n')
  assert.equal(csvRow(['=1+1', '@sum', '-2', 'a\nb']), `'=1+1,'@sum,'-2,"a\nb"\r\n`)
})
