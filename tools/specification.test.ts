import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

test('every promise of the specification names a test that is there', () => {
  const rows = readFileSync('docs/specification.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (promise|---)/.test(line))
  assert.ok(rows.length > 10)
  for (const row of rows) {
    const paths = Array.from(row.matchAll(/`([^`]+\.test\.ts)`/g), ([, path]) => path ?? '')
    assert.ok(paths.length > 0 && paths.every((path) => existsSync(path)), row)
  }
})
