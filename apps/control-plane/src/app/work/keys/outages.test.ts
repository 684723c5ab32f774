import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outages } from './outages.ts'

test('an outage begins once, until it is over', () => {
  const outages = new Outages()
  assert.ok(outages.begins('vault', 'key-1', 'missing'))
  assert.ok(!outages.begins('vault', 'key-1', 'missing'))
  assert.ok(outages.begins('vault', 'key-1', 'unreachable'))
  assert.ok(outages.begins('vault', 'key-10', 'missing'))
  outages.ended('vault', 'key-1')
  assert.ok(outages.begins('vault', 'key-1', 'missing'))
  assert.ok(!outages.begins('vault', 'key-10', 'missing'), 'another key’s goes on')
})
