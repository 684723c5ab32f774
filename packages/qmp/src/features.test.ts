import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Features } from './features.ts'

const features = new Features([
  { name: 'blockdev-add', 'meta-type': 'command', 'arg-type': '1', 'ret-type': '0' },
  { name: 'migrate', 'meta-type': 'event', 'arg-type': '9' },
  { name: '0', 'meta-type': 'object', members: [] },
  {
    name: '1',
    'meta-type': 'object',
    members: [{ name: 'driver', type: '2' }],
    variants: [
      { case: 'luks', type: '3' },
      { case: 'raw', type: '0' },
    ],
  },
  { name: '2', 'meta-type': 'enum', values: ['luks', 'raw'] },
  {
    name: '3',
    'meta-type': 'object',
    members: [
      { name: 'file', type: '4' },
      { name: 'header', type: '5' },
    ],
  },
  { name: '4', 'meta-type': 'alternate', members: [{ type: '1' }, { type: 'str' }] },
  { name: '5', 'meta-type': 'array', 'element-type': '4' },
  { name: 'str', 'meta-type': 'builtin' },
  // One that leads to itself, as no schema should.
  { name: '9', 'meta-type': 'alternate', members: [{ type: '9' }] },
])

test('commands, arguments, variants and values are found by their names', () => {
  assert.ok(features.has('blockdev-add'))
  assert.ok(features.has('blockdev-add', 'driver', 'luks'))
  assert.ok(features.has('blockdev-add', 'luks', 'header'))
  assert.ok(features.has('blockdev-add', 'luks', 'file', 'raw'))
  assert.ok(features.has('blockdev-add', 'luks', 'header', 'luks', 'file'))
})

test('nothing else is', () => {
  for (const [name, ...path] of [
    ['blockdev-del'],
    ['1'],
    ['blockdev-add', 'header'],
    ['blockdev-add', 'raw', 'header'],
    ['blockdev-add', 'driver', 'qcow2'],
    ['blockdev-add', 'driver', 'luks', 'luks'],
    ['migrate', 'status'],
  ] as const) {
    assert.ok(!features.has(name, ...path), [name, ...path].join('.'))
  }
})
