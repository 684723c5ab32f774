import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { isWithin } from './places.ts'

test('what lies in a folder lies in it by any name', (context) => {
  const root = temporaryFolder(context)
  const folder = join(root, 'data')
  assert.ok(isWithin(join(folder, 'root.key'), folder), 'before it is there')
  mkdirSync(folder)
  symlinkSync(folder, join(root, 'link'))
  for (const inside of [folder, join(folder, 'a'), join(folder, 'a/../b'), join(root, 'link/keys/root.key')]) {
    assert.ok(isWithin(inside, folder), inside)
    assert.ok(isWithin(inside, join(root, 'link')), inside)
  }
  for (const outside of [root, join(root, 'data.root-key'), join(folder, '../keys'), join(root, '..data')]) {
    assert.ok(!isWithin(outside, folder), outside)
  }
})
